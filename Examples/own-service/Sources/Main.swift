import ServiceKit

/// This service's own keys would stand here: `--greeting`, `APUS_GREETING`, `greeting` in the file.
struct NoSettings: ServiceConfiguration {
    static let definitions: [SettingDefinition] = []
    init(from settings: inout SettingsReader) {}
}

@main struct Main {
    static func main() async {
        await ServiceProgram<NoSettings>(name: "shipments", summary: "an example of a service of one's own") {
            _, context in
            [Shipments(context: context)]
        }.main()
    }
}
