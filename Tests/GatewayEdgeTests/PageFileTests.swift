import GatewayEdge
import Testing

@Suite("The page's files")
struct PageFileTests {
    private static func text(_ file: PageFile) -> String { String(decoding: file.bytes, as: UTF8.self) }

    @Test("everything that a file refers to is served, and nothing comes from elsewhere")
    func references() throws {
        for file in PageFile.all {
            let text = Self.text(file)
            for match in text.matches(of: /from '\.(\/[^']+)'/) {
                #expect(PageFile.at(String(match.1)) != nil, "\(file.path) imports \(match.1)")
            }
            for match in text.matches(of: /(?:src|href)="([^"#]+)"/) where !match.1.hasPrefix("data:") {
                #expect(PageFile.at(String(match.1)) != nil, "\(file.path) refers to \(match.1)")
            }
            #expect(
                text.firstMatch(of: /(?:src|href)=["']?https?:|url\(\s*["']?https?:|@import|import\(/) == nil,
                "\(file.path)")
        }
    }

    @Test("no file stands alone: each is the page or is referred to")
    func used() {
        let everything = PageFile.all.map(Self.text).joined()
        for file in PageFile.all where file.path != "/" {
            #expect(everything.contains("'.\(file.path)'") || everything.contains("\"\(file.path)\""), "\(file.path)")
        }
    }

    @Test("the page runs under its own content security policy: no script or style inside the document")
    func policy() throws {
        let page = Self.text(try #require(PageFile.at("/")))
        #expect(page.firstMatch(of: /<style|style="|<script(?![^>]* src=)|\son[a-z]+="/) == nil)
        #expect(
            PageFile.headers.contains {
                $0.name == "Content-Security-Policy" && $0.value.contains("default-src 'self'")
            })
    }

    @Test("the files stay small enough to be part of the program")
    func size() {
        #expect(PageFile.all.reduce(0) { $0 + $1.bytes.count } < 120_000)
        #expect(Set(PageFile.all.map(\.entityTag)).count == PageFile.all.count)
        #expect(PageFile.at("/../apus.yaml") == nil)
    }
}
