"""Where the work of tasks runs: on the loop, on threads, in processes; and the end of orphaned children."""
