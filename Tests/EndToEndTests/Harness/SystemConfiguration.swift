import Foundation

/// The configuration file of a system under test. What a test wants otherwise it adds as YAML to a section.
struct SystemConfiguration: Sendable {
    var tokenSecret = "end-to-end-secret-of-at-least-32-bytes"
    var apiKey = "end-to-end-key"
    /// Lines under `gateway:`, indented by two spaces.
    var gateway = ""
    var worker = ""
    /// `worker.queues`.
    var queues = "{ default: 4 }"
    var notifier = ""
    /// What is watched; the file is made by whoever starts the system.
    var database = "shop.sqlite"
    var tables = ["posts"]

    var yaml: String {
        """
        shutdown: { timeout: 10s }
        log: { level: info }
        gateway:
          token: { secret: "\(tokenSecret)" }
          api: { key: "\(apiKey)" }
        \(gateway)
        worker:
          lease: 2s
          queues: \(queues)
        \(worker)
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
        \(notifier)
        livesync:
          sources:
            - sqlite: ./\(database)
              tables: [\(tables.joined(separator: ", "))]
          access:
            - { table: "main.posts", roles: [authenticated] }
        """
    }
}
