//! Names of tests: unit, condition, outcome. A name that starts with an article or with `what` describes instead.

use super::Complaint;

const VAGUE_STARTS: [&str; 4] = ["what_", "a_", "an_", "the_"];

/// The names of the tests in a Rust file that start with one of [`VAGUE_STARTS`].
pub(super) fn check(path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut follows_attribute = false;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if is_test_attribute(line) {
            follows_attribute = true;
        }
        let Some(name) = function_name(line) else { continue };
        if follows_attribute && VAGUE_STARTS.iter().any(|start| name.starts_with(start)) {
            let what = format!("test `{name}`: start with the unit under test");
            complaints.push(Complaint::new(path, what).at(n + 1));
        }
        follows_attribute = false;
    }
    complaints
}

fn is_test_attribute(line: &str) -> bool {
    ["#[test]", "#[tokio::test]", "#[tokio::test("].iter().any(|attribute| line.starts_with(attribute))
}

/// The name in the first line of a function's signature.
fn function_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

#[test]
fn vague_test_names_are_reported() {
    for (text, wanted) in [
        ("#[test]\nfn a_node_is_drained() {}", 1),
        ("#[test]\nfn what_is_done() {}", 1),
        ("    #[tokio::test(start_paused = true)]\n    async fn the_node_drains() {}", 1),
        ("#[test]\n#[should_panic(expected = \"x\")]\nfn an_error_ends_it() {}", 1),
        ("#[test]\nfn whatever_drains() {}\n#[test]\nfn theme_is_dark() {}", 0),
        ("#[test]\nfn drain_waits() {}\nfn a_node() {}", 0),
        ("fn the_node() {}", 0),
    ] {
        assert_eq!(check("tests/it/nodes.rs", text).len(), wanted, "{text}");
    }
}
