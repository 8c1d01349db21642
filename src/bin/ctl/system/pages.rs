//! Completion scripts and man pages, generated from the command-line grammar. Pure.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::completion_script::{completion_script, without_hidden};

/// A generated file, by its path below a `share` directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Each shell's completion script, where that shell looks for it below `/usr/local/share` or `/usr/share`.
pub(crate) fn completions(root: &Command) -> Vec<SharedFile> {
    let places = [
        (Shell::Bash, "bash-completion/completions/ctl"),
        (Shell::Zsh, "zsh/site-functions/_ctl"),
        (Shell::Fish, "fish/vendor_completions.d/ctl.fish"),
    ];
    let file =
        |(shell, path): (Shell, &str)| SharedFile { path: path.into(), text: completion_script(root, shell) };
    places.map(file).into()
}

/// A man page per command: `ctl(1)`, `ctl-apply(1)`, `ctl-rollout-undo(1)`, …
pub(crate) fn man_pages(root: &Command) -> Vec<SharedFile> {
    let mut root = without_hidden(root).disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    add_pages(&root, root.get_name(), &mut pages);
    pages
}

fn add_pages(command: &Command, name: &str, pages: &mut Vec<SharedFile>) {
    let titled = command.clone().name(name.to_owned());
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(titled).render(&mut text);
    // writing to memory does not fail
    debug_assert!(rendered.is_ok());
    let path = PathBuf::from(format!("man/man1/{name}.1"));
    pages.push(SharedFile { path, text: String::from_utf8_lossy(&text).into_owned() });
    for below in command.get_subcommands() {
        add_pages(below, &format!("{name}-{}", below.get_name()), pages);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Args;

    #[test]
    fn every_command_has_a_man_page_and_hidden_ones_have_none() {
        let pages = man_pages(&Args::command());
        let page = |name: &str| {
            let path = PathBuf::from(format!("man/man1/{name}.1"));
            pages.iter().find(|page| page.path == path).map(|page| page.text.as_str())
        };
        for (name, text) in [
            ("ctl", "Run services on plain Docker"),
            ("ctl-apply", "Apply manifests"),
            ("ctl-rollout-undo", "ctl\\-rollout\\-undo"),
            ("ctl-system-install", "\\-\\-dry\\-run"),
        ] {
            assert!(page(name).is_some_and(|page| page.contains(text)), "{name}: {:?}", page(name));
        }
        assert_eq!(page("ctl-system-files"), None);
        assert!(page("ctl-serve").is_some_and(|page| !page.contains("balancer\\-id")), "a hidden argument");
    }

    #[test]
    fn completions_offer_commands_but_no_hidden_ones() {
        for file in completions(&Args::command()) {
            assert!(file.text.contains("rollout"), "{}", file.path.display());
            assert!(!file.text.contains("balancer-id"), "{}", file.path.display());
        }
    }
}
