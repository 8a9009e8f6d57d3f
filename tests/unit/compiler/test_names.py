"""Names that stand in expressions are ASCII; what people read may be anything."""

from __future__ import annotations

from compiling import compiled, said


def test_a_name_that_is_not_ascii_is_refused_with_the_letter_and_what_to_write() -> None:
    found = said(
        "flow: f\ninputs: {größe: {type: string}, æon: {type: string}}\ntasks: {a: {type: set, with: 1}}\n"
    )

    assert [each.code for each in found] == ["FB204", "FB204"]
    assert "has 'ö' in it" in found[0].what
    assert "write 'grosse'" in found[0].hints
    assert "write 'aeon'" in found[1].hints


def test_titles_names_and_keys_of_data_may_be_in_any_language() -> None:
    text = """
flow: f
description: Größen in 名前
inputs: {size: {type: object, title: Größe, properties: {größe: {type: integer}}}}
tasks:
  a: {name: Größe prüfen, type: set, with: "${{ inputs.size['größe'] }}"}
outputs: {größe: "${{ tasks.a.output }}"}
"""
    assert compiled(text).diagnostics == ()


def test_an_empty_type_is_a_mistake() -> None:
    found = said("flow: f\ntasks: {a: {type: ''}, b: {type: '', run: x}}\n")

    assert [each.code for each in found] == ["FB206", "FB211"]


def test_a_number_that_no_flow_can_hold_is_told_of_once() -> None:
    found = said(
        "flow: f\npriority: 99999999999999999999\ntasks: {a: {run: x, retry: 1e999, for_each: .inf}}\n"
    )

    assert [each.code for each in found if each.severity == "error"] == ["FB110"] * 3
