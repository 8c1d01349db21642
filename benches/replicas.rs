//! A daemon that runs so many replicas of the example, made for measurements.

use crate::daemon::Daemon;

/// Host name that leads to the replicas.
pub(crate) const HOST: &str = "hello.localhost";

/// Writes the manifest of `hello` with so many replicas; `more` are further lines of its spec.
pub(crate) fn manifest(daemon: &Daemon, image: &str, replicas: usize, more: &str) -> String {
    let text = format!(
        "apiVersion: coxswain/v1\nkind: Service\nmetadata: {{name: hello}}\nspec:\n  image: {image}\n  \
         replicas: {replicas}\n  port: 8080\n  route: {HOST}\n{more}"
    );
    daemon.file("app.yaml", &text)
}
