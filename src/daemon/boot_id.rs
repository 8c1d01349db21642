//! The id of this boot of the machine: addresses of containers mean nothing after a reboot.

use anyhow::Context;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

pub(super) fn boot_id() -> anyhow::Result<String> {
    let text = std::fs::read_to_string(BOOT_ID).with_context(|| format!("cannot read {BOOT_ID}"))?;
    Ok(text.trim().to_owned())
}
