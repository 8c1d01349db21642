//! Paths of the node that containers mount: their symbolic links are resolved, and the result is what Docker gets, so that
//! a link cannot lead out of an allowed directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::HostPathPolicy;

/// A path on a file system that does not answer, such as a network mount whose server is away, must not hold a start up.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// The path without symbolic links.
///
/// # Errors
/// A message that names the path: it does not exist, may not be mounted, or does not answer.
pub(super) async fn resolve(policy: &HostPathPolicy, path: &str) -> Result<String, String> {
    let refused = |why: String| format!("host path {path} cannot be mounted: {why}");
    // Before the file system is asked: a path that is not allowed says nothing about what is there.
    policy.check(Path::new(path)).map_err(refused)?;
    let resolved = match tokio::time::timeout(RESOLVE_WITHIN, tokio::fs::canonicalize(path)).await {
        Ok(Ok(resolved)) => resolved,
        Ok(Err(error)) => return Err(refused(crate::model::io_error_text(&error))),
        Err(_) => {
            return Err(refused(format!(
                "its file system does not answer within {} s",
                RESOLVE_WITHIN.as_secs()
            )));
        }
    };
    let policy = policy_without_links(policy).await;
    let shown = resolved.display();
    policy.check(&resolved).map_err(|why| refused(format!("it is {shown}, and {why}")))?;
    resolved.to_str().map(str::to_owned).ok_or_else(|| refused(format!("{shown} is not UTF-8")))
}

/// Allowed and protected paths may be links as well: `/var/run` is one.
async fn policy_without_links(policy: &HostPathPolicy) -> HostPathPolicy {
    HostPathPolicy {
        allowed: without_links(&policy.allowed).await,
        protected: without_links(&policy.protected).await,
    }
}

async fn without_links(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut resolved = Vec::new();
    for path in paths {
        let found = tokio::time::timeout(RESOLVE_WITHIN, tokio::fs::canonicalize(path)).await;
        resolved.push(found.ok().and_then(Result::ok).unwrap_or_else(|| path.clone()));
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn resolve_follows_links_and_refuses_those_that_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["allowed/data", "outside", "state"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("outside"), root.join("allowed/out")).unwrap();
        std::os::unix::fs::symlink(root.join("allowed/data"), root.join("allowed/link")).unwrap();
        std::os::unix::fs::symlink(root.join("allowed"), root.join("alias")).unwrap();
        let text = |name: &str| root.join(name).to_str().unwrap().to_owned();
        let policy = HostPathPolicy {
            allowed: vec![root.join("allowed"), root.join("alias")],
            protected: vec![root.join("state")],
        };
        for (path, outcome) in [
            ("allowed/data", Ok(text("allowed/data"))),
            ("allowed/link", Ok(text("allowed/data"))),
            ("alias/data", Ok(text("allowed/data"))),
            ("allowed/out", Err("allows only what is below")),
            ("allowed/none", Err("no such file or directory")),
            ("outside", Err("allows only what is below")),
        ] {
            let found = resolve(&policy, &text(path)).await;
            match outcome {
                Ok(expected) => assert_eq!(found, Ok(expected), "{path}"),
                Err(said) => assert!(found.as_ref().is_err_and(|f| f.contains(said)), "{path}: {found:?}"),
            }
        }
    }
}
