/// One process of a program: `gateway`, or `gateway2` beside it.
struct ApusInstance: Hashable, Sendable {
    let program: ApusProgram
    let number: Int

    init(_ program: ApusProgram, number: Int = 1) {
        self.program = program
        self.number = number
    }

    /// Nil for what is not a service's name.
    init?(named name: String) {
        let digits = name.reversed().prefix { $0.isNumber }.reversed()
        let word = name.dropLast(digits.count)
        guard let program = ApusProgram.services.first(where: { $0.shortName == word }) else { return nil }
        self.init(program, number: Int(String(digits)) ?? 1)
    }

    var name: String { number == 1 ? program.shortName : "\(program.shortName)\(number)" }
}
