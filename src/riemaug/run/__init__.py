"""The jobs behind the commands: plan, class tasks, resume, collection, report."""
