//! What a container runs, by Docker's rules for `entrypoint` and `command` over the image's own. Pure.
//!
//! An `entrypoint` in the manifest drops the image's CMD, which was written for another entrypoint (so do Docker and
//! Kubernetes); `entrypoint: []` drops only the image's ENTRYPOINT. `command: []` means no arguments.

use super::{ImageConfig, ServiceSpec};

/// Entrypoint and command for Docker; `None` leaves the image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerProcess {
    pub entrypoint: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
}

/// Neither the manifest nor the image names a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither the image nor the manifest says what to run; set `command`")]
pub struct NothingToRun;

impl ContainerProcess {
    /// What a container of this image runs.
    pub fn of(spec: &ServiceSpec, image: &ImageConfig) -> Self {
        let ServiceSpec { entrypoint, command, .. } = spec;
        let has_no_arguments = command.as_ref().is_some_and(Vec::is_empty);
        let entrypoint = match entrypoint {
            // Docker takes an empty command for none at all, unless an entrypoint is given.
            None if has_no_arguments => Some(image.entrypoint.clone()),
            own => own.clone(),
        };
        Self { entrypoint, command: command.clone() }
    }

    /// Refuses a process without a program.
    ///
    /// # Errors
    /// [`NothingToRun`]
    pub fn check(&self, image: &ImageConfig) -> Result<(), NothingToRun> {
        let entrypoint = self.entrypoint.as_ref().unwrap_or(&image.entrypoint);
        let takes_image_command =
            self.entrypoint.as_ref().is_none_or(Vec::is_empty) && self.command.is_none();
        let command = if takes_image_command { Some(&image.command) } else { self.command.as_ref() };
        let is_empty = entrypoint.is_empty() && command.is_none_or(Vec::is_empty);
        if is_empty { Err(NothingToRun) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Words = Option<&'static [&'static str]>;

    fn owned(words: Words) -> Option<Vec<String>> {
        words.map(|words| words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn process(entrypoint: Words, command: Words, image: &ImageConfig) -> ContainerProcess {
        let mut spec = ServiceSpec::of_image("a:1");
        (spec.entrypoint, spec.command) = (owned(entrypoint), owned(command));
        ContainerProcess::of(&spec, image)
    }

    /// All combinations of absent, empty and given; the last column is what Docker then runs.
    #[test]
    fn entrypoint_and_command_follow_dockers_rules() {
        let image = ImageConfig {
            entrypoint: vec!["/entry".into()],
            command: vec!["serve".into()],
            ..ImageConfig::default()
        };
        let (empty, given): (Words, Words) = (Some(&[]), Some(&["x"]));
        for (entrypoint, command, to_docker, runs) in [
            (None, None, (None, None), "image's entrypoint, image's command"),
            (None, empty, (Some(&["/entry"][..]), empty), "image's entrypoint alone"),
            (None, given, (None, given), "image's entrypoint, x"),
            (empty, None, (empty, None), "image's command alone"),
            (empty, empty, (empty, empty), "nothing"),
            (empty, given, (empty, given), "x alone"),
            (given, None, (given, None), "x, without the image's command"),
            (given, empty, (given, empty), "x alone"),
            (given, given, (given, given), "x x"),
        ] {
            let process = process(entrypoint, command, &image);
            let expected = ContainerProcess { entrypoint: owned(to_docker.0), command: owned(to_docker.1) };
            assert_eq!(process, expected, "{runs}");
            assert_eq!(process.check(&image).is_err(), runs == "nothing", "{runs}");
        }
    }

    #[test]
    fn process_of_an_image_that_names_no_program_needs_a_command() {
        let bare = ImageConfig::default();
        assert_eq!(process(None, None, &bare).check(&bare), Err(NothingToRun));
        assert_eq!(process(None, Some(&[]), &bare).check(&bare), Err(NothingToRun));
        assert_eq!(process(None, Some(&["x"]), &bare).check(&bare), Ok(()));
        let with_command = ImageConfig { command: vec!["serve".into()], ..bare };
        assert_eq!(process(None, None, &with_command).check(&with_command), Ok(()));
        assert_eq!(process(None, Some(&[]), &with_command).check(&with_command), Err(NothingToRun));
    }
}
