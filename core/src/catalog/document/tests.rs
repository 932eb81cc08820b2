//! What is read from a document is what the `toml` crate reads from it, or nothing.

use super::super::schema::File;
use super::read;
use serde_json::Value;

/// All that a price file can hold.
const FILE: &str = r#"catalog = 1
provider = "p"
aliases = ["q"] # a comment
[[modifiers]]
when = { geo = "!eu" }
multiply = "1.1"
[models."m.1"]
aliases = ["n"]
max_output_tokens = 8_192
[[models."m.1".prices]]
from = "2026-01-01"
rates = { input = "1", output = "2.5" }
over = [{ input_gt = 5, rates = { input = "2" } }]
[[models."m.1".prices.variants]]
when.tier = "batch"
rates.input = "0.5"
[models.m]
prices = [{ rates.input = "3" }]
[models.m.minimum]
page = "2"
"#;

/// What both say: `None` if the text is given up here.
fn compared(text: &str) -> Option<Value> {
    let read = read::<Value>(text);
    if let Some(value) = &read {
        assert_eq!(Ok(value), toml::from_str(text).as_ref(), "{text}");
    }
    read
}

#[test]
fn every_shipped_price_file_is_read_here() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../pricing/catalog");
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(compared(&text).is_some(), "{}", path.display());
        assert_eq!(
            format!("{:?}", read::<File>(&text).unwrap()),
            format!("{:?}", toml::from_str::<File>(&text).unwrap()),
        );
        files += 1;
    }
    assert!(files > 10, "{files} files");
}

#[test]
fn what_a_price_file_can_look_like_is_read_here() {
    for text in [
        "",
        "\u{feff}a = 1",
        "# only a comment",
        "a = 1 # one\r\nb = true\n\n",
        "a.b.c = 1\na.b.d = 'x'\n[e]\nf.g = 2",
        "[b]\n[a.b.c]\nx = 1\n[a]\ny = 2\n[a.b]\nz = 3\n[a.d]",
        "[[a]]\nx = 1\n[[a]]\n[a.b]\ny = 2\n[[a.c]]\n[[a.c]]\nz = 1",
        "[a]\nb.c = 1\n[a.b.d]\ne = 2",
        "[a.b]\nx = 1\n[a]\nc.d = 1\nb2.c = 1",
        "a = {b = {c = [1, {d = 'e'}, []]}, \"f g\" = \"h\\u00e9\\n\"}\n[[h.\"\\u00e9\".\"i.j\"]]",
        "a = [\n  1, # one\n  2,\n]\nb = { c.d = 1, c.e = 2 }",
        "a = \"\"\"\nlong\n\\\n  text\"\"\"\nb = '''x'''\nc = 0x1F\nd = -1_000\ne = +7",
    ] {
        assert!(compared(text).is_some(), "{text}");
    }
}

#[test]
fn what_the_toml_crate_refuses_is_not_read() {
    for text in [
        "a = 1\na = 2",
        "a = {b = 1, b = 2}",
        "[a]\n[a]",
        "[a]\nb = 1\n[a.b]",
        "[a]\nb = {}\n[a.b.c]",
        "[a]\nb = {}\n[a]",
        "a = {}\n[a]",
        "a = {}\n[a.b]",
        "a = {}\na.b = 1",
        "a = {b = 1, b.c = 2}",
        "a = {b.c = 1, b = 2}",
        "a = {b = {}, b.c = 1}",
        "a = 1\na.b = 2",
        "a = []\n[[a]]",
        "a = [{}]\n[a.b]",
        "a = [{}]\n[[a.b]]",
        "[[a]]\n[a]",
        "[a]\n[[a]]",
        "[a.b]\n[[a]]",
        "[[a]]\nb = 1\n[[a.b]]",
        "[[a.b]]\n[a]\nb.c = 1",
        "[a.b]\n[a]\nb.c = 1",
        "[a]\nb.c = 1\n[a.b]",
        "[a]\nb.c = 1\n[[a.b]]",
        "[a.b.c]\n[a]\nb.c.d = 1",
        "a.b = 1\n[a]",
        "a = \n",
        "a",
        "a = 1 b = 2",
        "= 1",
        "[]",
        "[a",
        "[a]]",
        "a = {b}",
        "a = {b = }",
        "a = [1 2]",
        "a = \"x",
        "a = \"\\q\"",
        "a = 1 # \u{1}",
        "a = 1\rb = 2",
        "\"\"\"a\"\"\" = 1",
        "a = 99999999999999999999999999999999999999999",
    ] {
        assert_eq!(compared(text), None, "{text}");
        assert!(toml::from_str::<Value>(text).is_err(), "{text}");
    }
}

#[test]
fn depth_ends() {
    for text in ["[".repeat(100_000), format!("a = {}", "[".repeat(100_000)), format!("a{}", ".a".repeat(50))]
    {
        assert_eq!(compared(&text), None);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(2_000))]

    /// Lines that meet in every order.
    #[test]
    fn lines_in_any_order_mean_what_they_mean(lines in proptest::collection::vec(0usize..28, 0..7)) {
        const LINES: [&str; 28] = [
            "[a]", "[a.b]", "[a.b.c]", "[b]", "[b.a]", "[[a]]", "[[a.b]]", "[[a.b.c]]", "[[b]]", "[c]",
            "a = 1", "b = 2", "c = 'x'", "a = {}", "b = {}", "c = {}", "a = []", "b = [{}]", "a.b = 1", "a.c = 1",
            "a.b.c = 2", "b.a = 3", "b.c = 4", "b = {a = 1}", "b = {a.b = 1, c = 1}", "c.b = {a.b = 1, a.c = 2}",
            "b = [{a = 1}, {a.b = 1}]", "# a",
        ];
        let text: Vec<&str> = lines.iter().map(|line| LINES[*line]).collect();
        let text = text.join("\n");
        let read = compared(&text);
        // All that the `toml` crate reads is plain.
        proptest::prop_assert_eq!(read.is_some(), toml::from_str::<Value>(&text).is_ok(), "{}", text);
    }

    /// A price file with some signs replaced, left out or put in.
    #[test]
    fn a_damaged_price_file_is_read_alike_or_not_at_all(
        damage in proptest::collection::vec((0usize..600, 0usize..16, 0usize..2), 0..4),
    ) {
        const SIGNS: &[u8; 16] = b"\"'[]{}=.,#\n a1-\\";
        let mut text = FILE.as_bytes().to_vec();
        for (at, sign, left) in damage {
            let at = at % text.len();
            text.splice(at..at + left, [SIGNS[sign]]);
        }
        let text = String::from_utf8(text).unwrap();
        compared(&text);
        if let Some(file) = read::<File>(&text) {
            let theirs = toml::from_str::<File>(&text).unwrap();
            proptest::prop_assert_eq!(format!("{file:?}"), format!("{theirs:?}"));
        }
    }

    /// Signs that meet in every order.
    #[test]
    fn signs_in_any_order_mean_what_they_mean(text in "([ab.=,\\[\\]{}\"'#\\\\ \n\r0-]|=|\n|\\[|\\]|\"|a = )*") {
        compared(&text);
    }
}
