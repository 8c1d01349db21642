//! Golden cases: folders under `tests/plans/` with a `script.txt` and the snapshot of what it leads to.
//!
//! `INSTA_UPDATE=always cargo test --test it plans` writes the snapshots again. The scripts' grammars are in
//! `tests/README.md`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Runs every case of a folder of `tests/plans/` and compares it with its snapshot. The number of cases is asserted, so that
/// one that is lost is noticed.
pub(crate) fn check(folder: &str, count: usize, run: impl Fn(&str) -> Result<String, String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(folder);
    let mut cases: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert_eq!(cases.len(), count, "cases in {}", folder.display());
    let mut failed = Vec::new();
    for case in cases {
        let script = std::fs::read_to_string(case.join("script.txt")).unwrap();
        let printed = run(&script).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&case);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let compare = || settings.bind(|| insta::assert_snapshot!("plan", printed));
        if catch_unwind(AssertUnwindSafe(compare)).is_err() {
            failed.push(case);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
