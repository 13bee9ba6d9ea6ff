import JSON
import Testing

@Suite("A JSON value")
struct JSONValueTests {
    @Test("keeps the order of an object's members, and equality does not look at it")
    func order() throws {
        let value = try JSONValue(parsing: #"{"b":1,"a":2,"c":3}"#)
        #expect(value.objectValue?.keys == ["b", "a", "c"])
        #expect(value.description == #"{"b":1,"a":2,"c":3}"#)
        let other = try JSONValue(parsing: #"{"a":2,"c":3,"b":1}"#)
        #expect(value == other)
        #expect(value.hashValue == other.hashValue)
    }

    @Test("of a number is equal to the same number in the other form")
    func numbers() {
        #expect(JSONValue.integer(5) == .double(5))
        #expect(JSONValue.integer(5).hashValue == JSONValue.double(5).hashValue)
        #expect(JSONValue.integer(5) != .double(5.5))
        #expect(JSONValue.double(5).integerValue == 5)
        for number in [5.5, .nan, .infinity, 1e300, -1e300, 9.3e18] {
            #expect(JSONValue.double(number).integerValue == nil)
        }
        #expect(JSONValue.string("5").integerValue == nil)
        #expect(JSONValue.integer(5).doubleValue == 5.0)
    }

    @Test("that JSON cannot hold is written as null")
    func unwritable() {
        #expect(
            JSONValue.array([.double(.nan), .double(.infinity), .double(-.infinity)]).description == "[null,null,null]")
    }

    @Test("is written compactly and with its control characters escaped")
    func writing() {
        let value: JSONValue = ["s": "\u{0}\u{8}\n\r\t\u{1F}\"\\/é", "n": [1, -2.5, 1e21, true, nil]]
        #expect(value.description == #"{"s":"\u0000\u0008\n\r\t\u001f\"\\/é","n":[1,-2.5,1e+21,true,null]}"#)
    }

    @Test("gives nil for what it is not")
    func kinds() {
        let values: [JSONValue] = [nil, true, 1, 1.5, "s", [1], ["a": 1]]
        #expect(values.map { $0.boolValue != nil } == [false, true, false, false, false, false, false])
        #expect(values.map { $0.stringValue != nil } == [false, false, false, false, true, false, false])
        #expect(values.map { $0.arrayValue != nil } == [false, false, false, false, false, true, false])
        #expect(values.map { $0["a"] != nil } == [false, false, false, false, false, false, true])
        #expect(values.map(\.isNull) == [true, false, false, false, false, false, false])
        #expect(
            values.map(\.kindDescription) == [
                "null", "a boolean", "a number", "a number", "a string", "an array", "an object",
            ])
    }
}

@Suite("A JSON object")
struct JSONObjectTests {
    @Test("replaces in place, adds at the end and removes")
    func changes() {
        var object: JSONObject = ["a": 1, "b": 2]
        object["a"] = 3
        object["c"] = 4
        object["b"] = nil
        #expect(object.map(\.key) == ["a", "c"])
        #expect(object == ["a": 3, "c": 4])
        object["null"] = .some(.null)
        #expect(object["null"]?.isNull == true)
        #expect(object.merging(["c": 5, "d": 6]).map(\.key) == ["a", "c", "null", "d"])
    }
}
