//! The user of a container, and what it may do. Pure.

use serde::{Deserialize, Serialize};

/// What the container may do. Docker's defaults plus no-new-privileges where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Security {
    /// `uid`, `uid:gid` or a name; the image's own where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Root file system read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_root: bool,
    /// Capabilities added, without `CAP_`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Capabilities dropped, without `CAP_`; `ALL` drops every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// Further groups of the process, by number or by a name of the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Whether no program gains rights by its set-user-id bit or its file capabilities.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub no_new_privileges: bool,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            user: None,
            read_only_root: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            groups: Vec::new(),
            no_new_privileges: true,
        }
    }
}

impl Security {
    /// Whether the process runs as root, given the user of its image.
    pub fn is_root(&self, image_user: Option<&str>) -> bool {
        let user = self.user.as_deref().or(image_user).unwrap_or_default();
        let name = user.split(':').next().unwrap_or_default();
        matches!(name, "" | "0" | "root")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_root_takes_the_manifests_user_before_the_images() {
        let of = |user: Option<&str>| Security { user: user.map(str::to_owned), ..Security::default() };
        for (own, image, is_root) in [
            (None, None, true),
            (None, Some(""), true),
            (None, Some("app"), false),
            (Some("0:0"), Some("app"), true),
            (Some("root"), None, true),
            (Some("1000:0"), None, false),
        ] {
            assert_eq!(of(own).is_root(image), is_root, "{own:?} {image:?}");
        }
    }

    #[test]
    fn security_at_its_default_has_no_json() {
        assert_eq!(serde_json::to_value(Security::default()).unwrap(), serde_json::json!({}));
        assert_eq!(serde_json::from_str::<Security>("{}").unwrap(), Security::default());
    }
}
