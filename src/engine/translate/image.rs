//! Images. Pure.

use bollard::models::{HealthConfig, ImageConfig as DockerConfig, ImageInspect};

use crate::engine::ImageInfo;
use crate::model::{ImageConfig, volume_path};

/// What executes a check that is a text, where the image names no SHELL.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// `None` if the response has no id.
pub(in crate::engine) fn image(image: ImageInspect) -> Option<ImageInfo> {
    Some(ImageInfo {
        id: image.id?,
        digests: image.repo_digests.unwrap_or_default(),
        tags: image.repo_tags.unwrap_or_default(),
        config: image.config.map(config).unwrap_or_default(),
    })
}

/// Docker writes an empty text for what the image does not say.
fn config(config: DockerConfig) -> ImageConfig {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let volumes = config.volumes.unwrap_or_default();
    let ports = config.exposed_ports.unwrap_or_default();
    ImageConfig {
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        user: said(config.user),
        working_dir: said(config.working_dir),
        volumes: volumes.iter().filter_map(|path| volume_path(path)).collect(),
        exposed_ports: ports.iter().filter_map(|port| tcp_port(port)).collect(),
        stop_signal: said(config.stop_signal),
        health_check: config.healthcheck.and_then(|check| health_check(check, config.shell)),
    }
}

/// The number of `8080/tcp` or `8080`.
fn tcp_port(text: &str) -> Option<u16> {
    text.strip_suffix("/tcp").unwrap_or(text).parse().ok()
}

/// The command of a check, as Docker executes it: `["CMD", …]`, `["CMD-SHELL", text]` with the image's SHELL, `["NONE"]`, or
/// nothing.
fn health_check(check: HealthConfig, shell: Option<Vec<String>>) -> Option<Vec<String>> {
    let test = check.test.unwrap_or_default();
    match test.split_first() {
        Some((kind, command)) if kind == "CMD" && !command.is_empty() => Some(command.to_vec()),
        Some((kind, [text])) if kind == "CMD-SHELL" => {
            let shell = shell.filter(|words| !words.is_empty());
            let mut command = shell.unwrap_or_else(|| DEFAULT_SHELL.map(str::to_owned).to_vec());
            command.push(text.clone());
            Some(command)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(config: serde_json::Value) -> ImageConfig {
        let json = serde_json::json!({"Id": "sha256:aa", "Config": config});
        image(serde_json::from_value(json).unwrap()).unwrap().config
    }

    #[test]
    fn image_reads_what_its_configuration_says() {
        let config = translated(serde_json::json!({
            "User": "10001", "WorkingDir": "/srv", "StopSignal": "SIGQUIT",
            "Entrypoint": ["/entry"], "Cmd": ["serve"],
            "Volumes": {"/data/db/": {}, "/": {}},
            "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
            "Healthcheck": {"Test": ["CMD-SHELL", "curl -f localhost"]},
        }));
        let expected = ImageConfig {
            entrypoint: vec!["/entry".into()],
            command: vec!["serve".into()],
            user: Some("10001".into()),
            working_dir: Some("/srv".into()),
            volumes: ["/data/db".to_owned()].into(),
            exposed_ports: [8080].into(),
            stop_signal: Some("SIGQUIT".into()),
            health_check: Some(vec!["/bin/sh".into(), "-c".into(), "curl -f localhost".into()]),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn image_takes_empty_texts_and_nulls_for_nothing() {
        let empty = serde_json::json!({
            "User": "", "WorkingDir": "", "Entrypoint": null, "Cmd": null, "Volumes": null,
        });
        assert_eq!(translated(empty), ImageConfig::default());
        for check in [serde_json::json!(["NONE"]), serde_json::json!([]), serde_json::json!(["CMD"])] {
            assert_eq!(
                translated(serde_json::json!({"Healthcheck": {"Test": check}})),
                ImageConfig::default()
            );
        }
        let direct = translated(serde_json::json!({"Healthcheck": {"Test": ["CMD", "/check", "-q"]}}));
        assert_eq!(direct.health_check, Some(vec!["/check".to_owned(), "-q".to_owned()]));
    }
}
