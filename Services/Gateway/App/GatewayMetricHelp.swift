extension GatewayConfiguration {
    /// In the words of `docs/metrics.md`, which a test compares.
    package static let metrics: [String: String] = [
        "apus_gateway_connections": "open connections",
        "apus_gateway_connections_opened_total": "connections that were opened",
        "apus_gateway_tls_handshakes_total": "TLS handshakes, by how they ended",
        "apus_gateway_subscriptions": "subscriptions of all connections",
        "apus_gateway_channels": "channels that somebody connected here is on, or was a moment ago",
        "apus_gateway_frames_received_total": "what clients sent, in frames",
        "apus_gateway_received_bytes_total": "what clients sent, in bytes",
        "apus_gateway_commands_total": "what clients asked for",
        "apus_gateway_malformed_frames_total": "frames that no valid client sends; their connections are closed",
        "apus_gateway_refused_total": "connections that the gateway closed",
        "apus_gateway_refused_tokens_total": "tokens that were refused",
        "apus_gateway_known_tokens_total": "tokens that had been found good before, and were looked up",
        "apus_gateway_control_unanswered_total":
            "gateways that did not answer an order or a question of this one within 2 s",
        "apus_gateway_control_refused_total":
            "orders of other gateways that were not carried out since too many waited",
        "apus_gateway_errors_total": "commands answered with an error",
        "apus_gateway_limited_total": "times that clients came to a limit",
        "apus_gateway_inbox_overflows_total":
            "messages that came faster than an event loop takes them; their channels' subscribers begin anew",
        "apus_gateway_deliveries_total": "messages of channels queued for clients, one for each client",
        "apus_gateway_messages_sent_total": "what was queued for clients, one for each client",
        "apus_gateway_sent_bytes_total": "what was queued for clients, in bytes before framing and compression",
        "apus_gateway_invalid_messages_total": "messages on channels that are not JSON, left out",
        "apus_gateway_slow_total": "what happened to slow readers: disconnected, or messages left out",
        "apus_gateway_recoveries_total": "attempts of clients to go on where they were",
        "apus_gateway_channel_heals_total":
            "times that messages missing between bus and gateway were looked for in the stream",
        "apus_gateway_dead_subscriptions_total":
            "subscriptions that got nothing although the connection was alive, made again",
        "apus_gateway_bus_reconnects_total":
            "times that the connection to NATS looked alive and delivered nothing, and was made anew",
        "apus_gateway_feed_connected": "1 while the connection by which channel messages come is there",
        "apus_gateway_feed_losses_total":
            "times that it was lost, or that messages were dropped on the way; channels then read what they missed",
        "apus_gateway_channel_interruptions_total": "times that they were gone, and subscribers were told",
        "apus_gateway_hook_seconds": "how long services took to answer hooks",
        "apus_gateway_rpc_seconds": "how long services took to answer calls",
        "apus_gateway_event_loop_lag_seconds": "how much later than asked for an event loop ran something",
        "apus_gateway_delivery_seconds":
            "from a message's arrival at the gateway to its write to clients; the oldest of each batch",
        "apus_gateway_presence_changes_total": "what subscribers were told of who came and left",
        "apus_gateway_presence_lingers_total": "clients whose connection ended: came back in time, or did not",
        "apus_gateway_presence_gateways": "other gateways that are known",
        "apus_gateway_presence_expired_gateways_total":
            "gateways that fell silent and whose clients were taken for gone",
        "apus_gateway_presence_announcements_total": "what this gateway told the others of its clients",
        "apus_gateway_presence_announcement_failures_total":
            "announcements that could not be sent; heartbeats mend what they would have told",
    ]
}
