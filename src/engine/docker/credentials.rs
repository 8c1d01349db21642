//! The user's `docker login`: credentials for a registry from Docker's configuration file. Pure but for reading it.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

/// Docker Hub's key in the file.
const HUB: &str = "index.docker.io";

/// More than any such file has.
const FILE_MAX: u64 = 1 << 20;

/// What the file has for a registry.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Login {
    /// These.
    Known(DockerCredentials),
    /// Nothing: the pull is tried without.
    Nothing,
    /// Something that cannot be used, and why: told if the registry then refuses.
    Unusable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

/// The login for the registry of an image, from the file at this path; a file that is not there has nothing.
pub(super) async fn login(file: &Path, reference: &str) -> Login {
    let unusable = |why: String| Login::Unusable(format!("{}: {why}", file.display()));
    match tokio::fs::metadata(file).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Login::Nothing,
        Err(error) => return unusable(error.to_string()),
        Ok(found) if found.len() > FILE_MAX => return unusable("too large for a configuration".to_owned()),
        Ok(_) => {}
    }
    match tokio::fs::read_to_string(file).await {
        Err(error) => unusable(error.to_string()),
        Ok(text) => match find(&text, reference) {
            Login::Unusable(why) => unusable(why),
            login => login,
        },
    }
}

fn find(text: &str, reference: &str) -> Login {
    let file: File = match serde_json::from_str(text) {
        Ok(file) => file,
        Err(error) => return Login::Unusable(error.to_string()),
    };
    let registry = registry(reference);
    let of_registry = |(key, _): &(&String, &Entry)| host(key) == registry;
    let entry = file.auths.iter().find(of_registry).map(|(_, entry)| entry);
    match entry.map(|entry| credentials(entry, registry)) {
        Some(Some(login)) => login,
        // An entry without a secret is how the file says that a helper has it.
        Some(None) | None => {
            let own = file.cred_helpers.iter().find(|(key, _)| host(key) == registry).map(|(_, name)| name);
            match own.or(file.creds_store.as_ref()) {
                Some(helper) => Login::Unusable(format!("the credential helper `{helper}` is not supported")),
                None => Login::Nothing,
            }
        }
    }
}

/// `None` for an entry without a secret.
fn credentials(entry: &Entry, registry: &str) -> Option<Login> {
    let known = |username: &str, password: &str, token: &str| {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Login::Known(DockerCredentials {
            username: some(username),
            password: some(password),
            identitytoken: some(token),
            serveraddress: Some(server(registry)),
            ..DockerCredentials::default()
        })
    };
    if !entry.identitytoken.is_empty() {
        return Some(known(&entry.username, "", &entry.identitytoken));
    }
    if !entry.auth.is_empty() {
        let pair = STANDARD.decode(&entry.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        return Some(match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((username, password)) => known(username, password.trim_end_matches('\0'), ""),
            None => Login::Unusable(format!("`auth` of {registry} is not base64 of user:password")),
        });
    }
    (!entry.password.is_empty()).then(|| known(&entry.username, &entry.password, ""))
}

/// The host of the registry that a reference names, as [`host`] writes it.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some(("docker.io", _)) => HUB,
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// The host of a key: `https://index.docker.io/v1/` and `ghcr.io` are both in use.
fn host(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match bare.split('/').next().unwrap_or(bare) {
        "docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

fn server(registry: &str) -> String {
    if registry == HUB { format!("https://{HUB}/v1/") } else { registry.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(login: Login) -> String {
        match login {
            Login::Known(c) => {
                let text = |part: Option<String>| part.unwrap_or_default();
                format!("{}/{}/{}", text(c.username), text(c.password), text(c.identitytoken))
            }
            Login::Nothing => "nothing".to_owned(),
            Login::Unusable(why) => format!("unusable: {why}"),
        }
    }

    #[test]
    fn the_login_of_the_images_registry_is_found() {
        let auth = STANDARD.encode("ann:se:cret");
        let file = format!(
            r#"{{"auths": {{
                "https://index.docker.io/v1/": {{"auth": "{auth}"}},
                "ghcr.io": {{"username": "bob", "password": "pw"}},
                "reg.local:5000": {{"auth": "", "identitytoken": "tok"}},
                "bad.io": {{"auth": "%%"}},
                "kept.io": {{}}
            }}, "credHelpers": {{"gcr.io": "gcloud"}}}}"#
        );
        for (reference, expected) in [
            ("users:1", "ann/se:cret/"),
            ("library/users", "ann/se:cret/"),
            ("docker.io/library/users", "ann/se:cret/"),
            ("ghcr.io/acme/users", "bob/pw/"),
            ("reg.local:5000/users", "//tok"),
            ("quay.io/users", "nothing"),
            ("kept.io/users", "nothing"),
            ("gcr.io/users", "unusable: the credential helper `gcloud` is not supported"),
            ("bad.io/users", "unusable: `auth` of bad.io is not base64 of user:password"),
        ] {
            assert_eq!(pair(find(&file, reference)), expected, "{reference}");
        }
        let store = find(r#"{"auths": {"ghcr.io": {}}, "credsStore": "pass"}"#, "ghcr.io/a");
        assert_eq!(pair(store), "unusable: the credential helper `pass` is not supported");
        assert!(pair(find("{", "a")).starts_with("unusable"));
    }
}
