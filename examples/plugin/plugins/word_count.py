"""A task type of this project."""

from flowbuilder.core.catalogue import TaskSpec


class WordCount:
    spec = TaskSpec(
        name="word_count",
        summary="Counts the words of a text.",
        params={
            "type": "object",
            "properties": {"text": {"type": "string", "description": "The text."}},
            "required": ["text"],
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": {"words": {"type": "integer"}, "longest": {"type": "string"}},
            "required": ["words", "longest"],
        },
        effect="pure",
        icon="text",
    )
    docs = "# `word_count`\n\nCounts the words of a `text`; its output is `{words, longest}`.\n"
    example = """
flow: example
tasks:
  count: {type: word_count, with: {text: one two three}}
outputs: {words: "${{ tasks.count.output.words }}"}
"""

    async def run(self, call):
        words = call.params["text"].split()
        return {"words": len(words), "longest": max(words, key=len, default="")}
