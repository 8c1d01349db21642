//! Registry logins of the daemon's user: what `docker login` wrote into Docker's configuration file, or into the
//! credential helper that the file names.
//!
//! For a registry, its own helper (`credHelpers`) comes first, then a secret in the file (`auths`), then the default helper
//! (`credsStore`). Most registries serve public images to everyone, so a pull without a login is tried.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use super::credential_helper;
use crate::model::image_reference::{DOCKER_HUB, ImageReference};
use crate::model::io_error_text;

/// Docker Hub's name in the file and to helpers.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// More than any such file has.
const FILE_MAX: u64 = 1 << 20;

/// Helpers ask keychains and clouds, which takes seconds.
const HELPER_WITHIN: Duration = Duration::from_secs(20);

/// The login for a registry.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Login {
    Known(DockerCredentials),
    /// There is none: the pull is tried without.
    Nothing,
    /// It could not be read, and why: shown if the registry then denies the pull.
    Unusable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// Where the file says that a login is.
#[derive(Debug, PartialEq)]
enum LoginSource {
    File(DockerCredentials),
    Helper(String),
    Nowhere,
}

/// The login for the registry of an image; a missing file has none. Helpers are searched in `search_path`.
pub(super) async fn login(file: &Path, search_path: &OsStr, reference: &str) -> Login {
    let Ok(ImageReference { registry, .. }) = ImageReference::parse(reference) else { return Login::Nothing };
    let unusable =
        |why: String| Login::Unusable(format!("login for {registry} in {}: {why}", file.display()));
    let text = match read(file).await {
        Ok(Some(text)) => text,
        Ok(None) => return Login::Nothing,
        Err(why) => return unusable(why),
    };
    match source(&text, &registry) {
        Ok(LoginSource::File(credentials)) => Login::Known(credentials),
        Ok(LoginSource::Nowhere) => Login::Nothing,
        Ok(LoginSource::Helper(name)) => {
            match credential_helper::ask(&name, server(&registry), search_path, HELPER_WITHIN).await {
                Ok(found) => found.map_or(Login::Nothing, Login::Known),
                Err(error) => unusable(error.to_string()),
            }
        }
        Err(why) => unusable(why),
    }
}

async fn read(file: &Path) -> Result<Option<String>, String> {
    match tokio::fs::metadata(file).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error_text(&error)),
        Ok(found) if found.len() > FILE_MAX => return Err("the file is too large".to_owned()),
        Ok(_) => {}
    }
    tokio::fs::read_to_string(file).await.map(Some).map_err(|error| io_error_text(&error))
}

/// Where the login for a registry is, from the text of the file.
fn source(text: &str, registry: &str) -> Result<LoginSource, String> {
    let file: ConfigFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let own_helper = file.cred_helpers.iter().find(|(key, _)| registry_of(key) == registry);
    if let Some((_, name)) = own_helper {
        return Ok(LoginSource::Helper(name.clone()));
    }
    if let Some((_, entry)) = file.auths.iter().find(|(key, _)| registry_of(key) == registry)
        && let Some(credentials) = entry.credentials(registry)?
    {
        return Ok(LoginSource::File(credentials));
    }
    // An entry without a secret is how the file says that the default helper has it.
    Ok(if file.creds_store.is_empty() { LoginSource::Nowhere } else { LoginSource::Helper(file.creds_store) })
}

impl AuthEntry {
    /// `None` for an entry without a secret.
    fn credentials(&self, registry: &str) -> Result<Option<DockerCredentials>, String> {
        let known = |username: &str, password: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            DockerCredentials {
                username: some(username),
                password: some(password),
                identitytoken: some(&self.identitytoken),
                serveraddress: Some(server(registry).to_owned()),
                ..DockerCredentials::default()
            }
        };
        if !self.identitytoken.is_empty() {
            return Ok(Some(known(&self.username, "")));
        }
        if self.auth.is_empty() {
            return Ok((!self.password.is_empty()).then(|| known(&self.username, &self.password)));
        }
        let pair = STANDARD.decode(&self.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((username, password)) => Ok(Some(known(username, password.trim_end_matches('\0')))),
            None => Err("`auth` is not base64 of user:password".to_owned()),
        }
    }
}

/// The registry of a key: `https://index.docker.io/v1/` and `ghcr.io` are both in use.
fn registry_of(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match bare.split('/').next().unwrap_or(bare) {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    }
}

fn server(registry: &str) -> &str {
    if registry == DOCKER_HUB { HUB_SERVER } else { registry }
}

#[cfg(test)]
mod tests {
    use super::credential_helper::tests::search_path;
    use super::*;

    /// `user/password/token` of the login for an image, with this file.
    async fn login_with(config: &str, reference: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        std::fs::write(&file, config).unwrap();
        match login(&file, &search_path(), reference).await {
            Login::Known(c) => {
                let text = |part: Option<String>| part.unwrap_or_default();
                format!("{}/{}/{}", text(c.username), text(c.password), text(c.identitytoken))
            }
            Login::Nothing => "nothing".to_owned(),
            Login::Unusable(why) => why.replace(&file.display().to_string(), "FILE"),
        }
    }

    #[tokio::test]
    async fn login_is_found_in_the_file_by_the_images_registry() {
        let auth = STANDARD.encode("ann:se:cret");
        let config = format!(
            r#"{{"auths": {{
                "https://index.docker.io/v1/": {{"auth": "{auth}"}},
                "ghcr.io": {{"username": "bob", "password": "pw"}},
                "reg.local:5000": {{"auth": "", "identitytoken": "tok"}},
                "bad.io": {{"auth": "%%"}},
                "kept.io": {{}}
            }}}}"#
        );
        for (reference, expected) in [
            ("users:1", "ann/se:cret/"),
            ("library/users", "ann/se:cret/"),
            ("docker.io/library/users", "ann/se:cret/"),
            ("index.docker.io/acme/users", "ann/se:cret/"),
            ("ghcr.io/acme/users", "bob/pw/"),
            ("reg.local:5000/users", "//tok"),
            ("quay.io/users", "nothing"),
            ("kept.io/users", "nothing"),
            ("bad.io/users", "login for bad.io in FILE: `auth` is not base64 of user:password"),
        ] {
            assert_eq!(login_with(&config, reference).await, expected, "{reference}");
        }
        assert!(login_with("{", "users").await.starts_with("login for docker.io in FILE: EOF"));
    }

    #[tokio::test]
    async fn login_comes_from_the_helper_that_the_file_names() {
        let auth = STANDARD.encode("ann:from-file");
        let stored = format!(
            r#"{{"auths": {{"ghcr.io": {{}}, "a.io": {{"auth": "{auth}"}}}}, "credsStore": "test"}}"#
        );
        assert_eq!(login_with(&stored, "ghcr.io/users").await, "ann/from-helper/");
        assert_eq!(login_with(&stored, "users").await, "//token-from-helper");
        assert_eq!(
            login_with(&stored, "a.io/users").await,
            "ann/from-file/",
            "a secret in the file comes first"
        );
        assert_eq!(login_with(&stored, "quay.io/users").await, "nothing");
        let own = format!(
            r#"{{"auths": {{"ghcr.io": {{"auth": "{auth}"}}}}, "credHelpers": {{"ghcr.io": "test", "b.io": "absent"}}}}"#
        );
        assert_eq!(login_with(&own, "ghcr.io/users").await, "ann/from-helper/", "its own helper comes first");
        let missing = login_with(&own, "b.io/users").await;
        assert_eq!(missing, "login for b.io in FILE: docker-credential-absent is not in PATH");
    }

    #[tokio::test]
    async fn login_is_nothing_without_a_file() {
        let file = Path::new("/nonexistent/config.json");
        assert_eq!(login(file, &search_path(), "users").await, Login::Nothing);
    }
}
