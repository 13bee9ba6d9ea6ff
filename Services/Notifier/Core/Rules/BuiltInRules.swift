internal import JSON

/// The rules that hold without configuration. A configured rule of the same name replaces one.
package enum BuiltInRules {
    /// Changes of an order's status go to the user whose order it is.
    static let orderStatus: JSONValue = [
        "name": "order-status",
        "event": "order.status_changed",
        "to": "user:{{user_id}}",
        "type": "order_update",
        "title": "Order {{order_id}}",
        "message": "Your order status is now: {{status}}",
    ]

    /// A product of which less than its threshold is left alerts the administrators, until a fifth more than that is there.
    static let lowInventory: JSONValue = [
        "name": "low-inventory",
        "event": "inventory.changed",
        "to": "admin:inventory-alerts",
        "type": "inventory_alert",
        "alert": [
            "key": "product_id",
            "fire": "quantity < threshold",
            "clear": "quantity >= threshold * 1.2",
            "version": "version",
        ],
        "message": "Low inventory for product: {{product_id}}",
    ]

    package static let all: [Rule] = {
        [orderStatus, lowInventory].map { configuration in
            guard let rule = RuleReader.rule(configuration) else {
                preconditionFailure("a built-in rule is not a rule")
            }
            return rule
        }
    }()
}
