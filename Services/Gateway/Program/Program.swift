import GatewayApp
import ServiceKit

@main
struct Program {
    static func main() async {
        AllocatorSettings.apply()
        await ServiceProgram(
            name: "apus-gateway", summary: "holds the sockets: client protocols, channels, presence, calls",
            build: buildGateway
        ).main()
    }
}
