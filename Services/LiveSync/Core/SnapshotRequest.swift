package import JSON

/// The parameters of `sync.snapshot`, checked as far as they can be without the table.
package struct SnapshotRequest: Sendable, Equatable {
    /// The most rows a page may have, and how many it has unless asked for.
    package static let maximumLimit = 1000

    package var model: String
    package var filter: RowFilter
    /// The columns wanted besides the key; nil is all.
    package var columns: [String]?
    package var limit: Int
    /// What an earlier page gave as `next`.
    package var after: JSONValue?

    package init(
        model: String, filter: RowFilter = RowFilter(), columns: [String]? = nil,
        limit: Int = SnapshotRequest.maximumLimit, after: JSONValue? = nil
    ) {
        self.model = model
        self.filter = filter
        self.columns = columns
        self.limit = limit
        self.after = after
    }

    package init(parameters: JSONValue) throws(RequestProblem) {
        guard let model = parameters["table"]?.stringValue, !model.isEmpty else {
            throw RequestProblem("table is required: the name of a followed table, such as main.posts")
        }
        self.init(model: model)
        if let text = parameters["where"], !text.isNull {
            guard let text = text.stringValue else { throw RequestProblem("where is not a string") }
            filter = try RowFilter(parsing: text)
        }
        if let names = parameters["columns"], !names.isNull {
            guard let names = names.arrayValue?.map(\.stringValue), !names.contains(nil) else {
                throw RequestProblem("columns is not an array of strings")
            }
            columns = names.compactMap(\.self)
        }
        if let number = parameters["limit"], !number.isNull {
            guard let number = number.integerValue, number > 0 else {
                throw RequestProblem("limit is not a positive whole number")
            }
            limit = Int(min(number, Int64(SnapshotRequest.maximumLimit)))
        }
        if let cursor = parameters["after"], !cursor.isNull { after = cursor }
    }
}
