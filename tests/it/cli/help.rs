//! The help of every command, so that a change of the grammar is seen.

use super::stub::Stub;
use super::transcript::transcript;

#[test]
fn help_of_every_command() {
    let commands = [
        "--help",
        "serve --help",
        "apply --help",
        "validate --help",
        "get --help",
        "status --help",
        "scale --help",
        "rollout --help",
        "rollout status --help",
        "rollout restart --help",
        "rollout undo --help",
        "undo --help",
        "delete --help",
        "logs --help",
        "events --help",
        "wait --help",
        "verify --help",
        "confirm --help",
        "system --help",
        "system install --help",
        "system uninstall --help",
        "explain --help",
        "schema --help",
        "completion --help",
        "version --help",
        "--version",
    ];
    insta::assert_snapshot!("help", transcript(&Stub::start(), &commands));
}
