import GatewayApp
import ServiceKit

@main
struct Program {
    static func main() async {
        await ServiceProgram(
            name: "apus-gateway", summary: "holds the sockets: client protocols, channels, presence, calls",
            build: buildGateway
        ).main()
    }
}
