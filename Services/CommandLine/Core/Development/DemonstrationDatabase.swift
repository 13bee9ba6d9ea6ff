/// The SQLite database that `apus dev` makes so that there are live rows to look at.
public enum DemonstrationDatabase {
    /// Its tables, as the configuration names them.
    public static let tables = ["products", "posts"]

    /// Makes the tables and fills them. Runs once, on an empty database.
    public static let script = """
        CREATE TABLE products (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            price REAL NOT NULL,
            quantity INTEGER NOT NULL
        );
        CREATE TABLE posts (
            id INTEGER PRIMARY KEY,
            title TEXT NOT NULL,
            body TEXT,
            published INTEGER NOT NULL DEFAULT 0
        );
        INSERT INTO products (name, price, quantity) VALUES
            ('Swift boat', 1890.00, 3), ('Field notebook', 6.50, 240), ('Binoculars 8x42', 219.00, 17),
            ('Nest box', 34.90, 58), ('Rain jacket', 129.00, 41);
        INSERT INTO posts (title, body, published) VALUES
            ('The swifts are back', 'Seen over the harbour this morning.', 1),
            ('Ten months in the air', 'A common swift may not land between two summers.', 1),
            ('Draft: nest box survey', NULL, 0);
        """
}
