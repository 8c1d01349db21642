//! What a user should know of an image before its release starts: what it declares and the manifest does not say. Pure.

use crate::model::image_reference::is_latest;
use crate::model::{Health, ImageConfig, Port, Pull, Service, ServiceName, Volume};

/// A volume's name where the path has nothing that a name may have.
const FALLBACK_NAME: &str = "data";

/// Notes on the image of a service; `before` is what the service was.
pub(super) fn image_notes(before: Option<&Service>, after: &Service) -> Vec<String> {
    let config = &after.image.config;
    if before.is_some_and(|before| says_the_same(before, after)) {
        return Vec::new();
    }
    let mut notes = hidden_data(before, after);
    notes.extend(uncovered_volumes(after));
    notes.extend(unused_health_check(after, config));
    notes.extend(other_ports(after, config));
    notes.extend(unused_capabilities(after, config));
    notes
}

/// Whether nothing has changed that a note is about: a scale repeats none.
fn says_the_same(before: &Service, after: &Service) -> bool {
    let about = |service: &Service| {
        let spec = &service.spec;
        (
            service.image.clone(),
            spec.volumes.clone(),
            spec.ports.clone(),
            spec.health.clone(),
            spec.security.clone(),
        )
    };
    about(before) == about(after)
}

/// A note on an apply that changes nothing and did not ask the registry.
pub(super) fn not_pulled(after: &Service) -> Option<String> {
    let is_of_registry = after.image.pinned.contains('@');
    let may_have_moved = after.spec.pull == Pull::IfMissing && is_latest(&after.spec.image);
    (is_of_registry && may_have_moved).then(|| {
        format!(
            "{} was not pulled again (`pull: ifMissing`): `pull: always` takes what the registry has now",
            after.image.reference
        )
    })
}

/// Capabilities that the process does not get, because only root has them from the start.
fn unused_capabilities(after: &Service, config: &ImageConfig) -> Option<String> {
    let security = &after.spec.security;
    if security.cap_add.is_empty() || security.is_root(config.user.as_deref()) {
        return None;
    }
    let user = security.user.as_deref().or(config.user.as_deref()).unwrap_or_default();
    let how = if security.no_new_privileges {
        "not even a program with file capabilities, because of `noNewPrivileges`"
    } else {
        "unless its program has them as file capabilities (`setcap`)"
    };
    Some(format!(
        "`security.capAdd` gives {} to root alone: a process of user {user} does not get them, {how}",
        security.cap_add.join(", ")
    ))
}

fn hidden_data(before: Option<&Service>, after: &Service) -> Vec<String> {
    let Some(before) = before else { return Vec::new() };
    let hidden = after.image.config.hidden_paths(&before.image.config, &after.spec);
    let note = |(path, volume): (&str, &Volume)| {
        format!(
            "its image adds VOLUME {path} below volume {} at {}: what that volume holds in {path} is hidden from the \
             new replicas, which start with an empty volume there",
            volume.shown_origin(),
            volume.path
        )
    };
    hidden.into_iter().map(note).collect()
}

fn uncovered_volumes(after: &Service) -> Vec<String> {
    let note = |path: &str| {
        let name = volume_name(path);
        format!(
            "its image declares VOLUME {path}, which `volumes` does not mount: each slot keeps one of its own; to name \
             it, add `- {{name: {name}, path: {path}}}` to \
             `spec.volumes`"
        )
    };
    after.release().image_volumes().iter().map(|volume| note(volume.path)).collect()
}

/// A name that says what the path does: `data-db` for `/data/db`.
fn volume_name(path: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words: String = path.chars().map(plain).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    // YAML takes a name of digits for a number.
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase());
    if is_word && ServiceName::parse(&name).is_ok() { name } else { FALLBACK_NAME.to_owned() }
}

/// An image's HEALTHCHECK where the manifest says nothing of health.
fn unused_health_check(after: &Service, config: &ImageConfig) -> Option<String> {
    let command = config.health_check.as_ref()?;
    let is_default = after.spec.health == Health::default_for(!after.spec.ports.is_empty());
    let command = serde_json::to_string(command).ok().filter(|_| is_default)?;
    Some(format!("its image's HEALTHCHECK is not run; to use it, write `health: {{exec: {command}}}`"))
}

/// Ports of an image of which the manifest names none.
fn other_ports(after: &Service, config: &ImageConfig) -> Option<String> {
    let exposed = &config.exposed_ports;
    let is_exposed = |port: &Port| exposed.contains(&port.port);
    let first = after.spec.ports.first()?;
    if exposed.is_empty() || after.spec.ports.iter().any(is_exposed) {
        return None;
    }
    let exposed: Vec<String> = exposed.iter().map(u16::to_string).collect();
    Some(format!(
        "its image exposes port {} and the manifest names {}: check that the process listens on {}",
        exposed.join(", "),
        first.port,
        first.port
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HealthCheck, Protocol};
    use crate::testing;

    fn service(change: impl FnOnce(&mut Service)) -> Service {
        let mut service = testing::service("db");
        change(&mut service);
        service
    }

    fn declares(service: &mut Service, volumes: &[&str]) {
        service.image.config.volumes = volumes.iter().map(|path| (*path).to_owned()).collect();
    }

    fn mounts(service: &mut Service, path: &str) {
        service.spec.volumes = vec![Volume::named("data", path)];
    }

    #[test]
    fn image_notes_name_each_volume_with_the_line_to_add() {
        let notes = image_notes(None, &service(|service| declares(service, &["/data/db", "/0"])));
        assert!(notes[0].contains("`- {name: data, path: /0}`"), "{notes:?}");
        assert!(notes[1].contains("`- {name: data-db, path: /data/db}`"), "{notes:?}");
        let covered = service(|service| {
            declares(service, &["/data/db"]);
            mounts(service, "/data/db");
        });
        assert_eq!(image_notes(None, &covered), [""; 0]);
    }

    #[test]
    fn image_notes_warn_of_a_volume_that_hides_data() {
        let before = service(|service| mounts(service, "/data"));
        let after = service(|service| {
            declares(service, &["/data/db"]);
            mounts(service, "/data");
        });
        let notes = image_notes(Some(&before), &after);
        assert!(
            notes[0].starts_with("its image adds VOLUME /data/db below volume data at /data"),
            "{notes:?}"
        );
        assert_eq!(image_notes(Some(&after), &after), [""; 0], "nothing is new");
        let mut other = after.clone();
        other.image.pinned = "sha256:other".to_owned();
        assert!(!image_notes(Some(&other), &after)[0].contains("below"), "only the release that adds it");
    }

    #[test]
    fn image_notes_give_the_exec_check_of_a_healthcheck_that_nothing_replaces() {
        let mut own = service(|service| {
            service.image.config.health_check = Some(vec!["/check".into(), "a \"b\"".into()]);
        });
        assert_eq!(
            image_notes(None, &own),
            [
                r#"its image's HEALTHCHECK is not run; to use it, write `health: {exec: ["/check","a \"b\""]}`"#
            ]
        );
        own.spec.health = Health::with(HealthCheck::Exec(vec!["/other".into()]));
        assert_eq!(image_notes(None, &own), [""; 0]);
    }

    #[test]
    fn image_notes_say_that_added_capabilities_reach_only_root() {
        let notes = |user: Option<&str>, own: Option<&str>| {
            let found = service(|service| {
                service.image.config.user = user.map(str::to_owned);
                service.spec.security.user = own.map(str::to_owned);
                service.spec.security.cap_add = vec!["NET_BIND_SERVICE".into()];
            });
            image_notes(None, &found)
        };
        for (user, own) in [(None, None), (Some("0:0"), None), (Some("app"), Some("root")), (None, Some("0"))]
        {
            assert_eq!(notes(user, own), [""; 0], "{user:?} {own:?}");
        }
        let said = notes(Some("app"), None);
        assert!(said[0].contains("NET_BIND_SERVICE to root alone: a process of user app"), "{said:?}");
        assert!(notes(None, Some("1000:1000"))[0].contains("user 1000:1000"));
    }

    #[test]
    fn image_notes_hint_at_a_port_that_the_image_does_not_expose() {
        let mut web = service(|service| {
            service.image.config.exposed_ports = [80].into();
            service.spec.ports =
                vec![Port { name: "http".into(), port: 8080, protocol: Protocol::Http, listen: None }];
        });
        assert_eq!(
            image_notes(None, &web),
            ["its image exposes port 80 and the manifest names 8080: check that the process listens on 8080"]
        );
        web.spec.ports[0].port = 80;
        assert_eq!(image_notes(None, &web), [""; 0]);
    }
}
