// `import TaskWorker` is all that the tasks of a worker need.
@_exported public import Tasks
