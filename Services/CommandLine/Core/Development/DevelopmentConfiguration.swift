internal import JSON

/// The configuration file that `apus dev` writes once into its data folder. From then on it belongs to the developer.
public struct DevelopmentConfiguration: Sendable, Equatable {
    public var natsURL: String
    public var gatewayAddress: String
    public var tokenSecret: String
    public var apiKey: String
    /// An absolute path: services are started in whatever folder `apus dev` is called from.
    public var databasePath: String
    /// The CSV file that the page offers for a task.
    public var samplePath: String
    /// The folder for files that are picked on the page.
    public var uploadPath: String

    public init(
        natsURL: String, gatewayAddress: String, tokenSecret: String, apiKey: String, databasePath: String,
        samplePath: String, uploadPath: String
    ) {
        self.natsURL = natsURL
        self.gatewayAddress = gatewayAddress
        self.tokenSecret = tokenSecret
        self.apiKey = apiKey
        self.databasePath = databasePath
        self.samplePath = samplePath
        self.uploadPath = uploadPath
    }

    /// The file's text.
    public var yaml: String {
        """
        # The configuration of `apus dev`, made at its first start and yours since: change what you like and start it
        # again. All services read this file, each its own section; `apus-gateway --help` and its like list every key.
        # It holds secrets and is for this machine only.

        nats:
          url: \(quoted(natsURL))

        gateway:
          listen: \(quoted(gatewayAddress))
          token:
            secret: \(quoted(tokenSecret))    # signs the tokens of `apus token`
          api:
            key: \(quoted(apiKey))
          page:                      # what the demonstration page shows
            sample: \(quoted(samplePath))
            database: \(quoted(databasePath))
            tables: [\(DemonstrationDatabase.tables.map { "main.\($0)" }.joined(separator: ", "))]
          upload:
            directory: \(quoted(uploadPath))

        worker:
          queues: { default: 8 }

        notifier:
          rules:
            - name: order-status
              event: order.status_changed
              to: "user:{{user_id}}"
              type: order_update
              title: "Order {{order_id}}"
              message: "Your order status is now: {{status}}"
            - name: low-inventory
              event: inventory.changed
              to: "admin:inventory-alerts"
              type: inventory_alert
              alert:
                key: product_id
                fire: "quantity < threshold"
                clear: "quantity >= threshold * 1.2"
                version: version
              message: "Low inventory for product: {{product_id}}"

        livesync:
          sources:
            - sqlite: \(quoted(databasePath))
              tables: [\(DemonstrationDatabase.tables.joined(separator: ", "))]
          access:
        \(DemonstrationDatabase.tables.map { "    - { table: \(quoted("main.\($0)")), roles: [authenticated] }" }
            .joined(separator: "\n"))

        """
    }

    /// A JSON string is a double-quoted YAML string.
    private func quoted(_ text: String) -> String { JSONValue.string(text).description }
}
