// Whoever builds a worker gives it tasks, and so needs what they are written with.
@_exported public import Tasks
