//! The codes for starting the daemon, and for installing it as a service. Pure.

use super::code::{Code, codes};

codes! { DAEMON_CODES
    /// Two daemons on one state directory.
    STATE_DIR_IN_USE = "CTL-0501", 2, "the state directory is in use",
        "Another daemon holds the lock of the state directory. Two daemons cannot share one.",
        "Stop the other daemon, or choose another directory with --state-dir.";
    /// The store is damaged.
    STORE_DAMAGED = "CTL-0502", 2, "the store is damaged",
        "The store's file is damaged, missing, or was written by a later version. The daemon never treats it as an empty \
         store. Containers keep running.",
        "`ctl store restore FILE` goes back to a snapshot, `ctl store new` starts over; or run the version of ctl that wrote it.";
    /// A listen address is taken.
    PORT_IN_USE = "CTL-0503", 2, "address already in use",
        "Another process listens on an address that the daemon should listen on.",
        "Stop that process, or choose another address with --http.";
    /// The node runs containers of an earlier store.
    FOREIGN_STORE = "CTL-0504", 2, "containers of another store are running",
        "The store is new, but containers created by an earlier store of this state directory are running. A new store \
         would start all services a second time.",
        "`ctl store restore FILE` goes back. `ctl store new` or `ctl serve --new-store` leaves those containers alone.";
    /// The daemon could not start for another reason.
    SERVE_FAILED = "CTL-0505", 2, "the daemon could not start",
        "Something that the daemon needs is missing or failed; the message names it.",
        "Fix the cause and start the daemon again.";
    /// A file is no snapshot.
    BAD_SNAPSHOT = "CTL-0506", 2, "the snapshot cannot be used",
        "The file was not written by `ctl store snapshot`, was cut or changed, or is of a later version.",
        "Use another snapshot.";
    /// A state directory was copied.
    STATE_DIR_COPIED = "CTL-0507", 2, "the state directory is a copy",
        "A copy has the same store as its original, so that two daemons would each take the other's containers for their own.",
        "To move it, use `mv`, or remove the original once its daemon is stopped. For a second daemon choose an empty directory.";
    /// The installed program cannot continue.
    RELOAD_REFUSED = "CTL-0508", 2, "the reload was refused",
        "The program at the daemon's path is missing, cannot be executed, or cannot continue where the running version is. Nothing \
         was changed.",
        "Install the program again, then `ctl reload`. A version that cannot continue needs a restart.";
    /// A reload stopped half-way.
    RELOAD_FAILED = "CTL-0509", 5, "the reload failed",
        "The new supervisor runs, but a new balancer or controller did not come to serve. The processes that did not change still \
         serve.",
        "The message and the daemon's log say why. `ctl reload` tries again; `ctl status` shows which version each process has.";
    /// A reload cannot begin now.
    RELOAD_NOT_NOW = "CTL-0510", 7, "a reload cannot begin now",
        "Another reload is under way, the daemon is stopping, or balancers of several earlier versions still finish requests.",
        "Wait for it: `ctl status` lists the processes.";
    /// The supervisor does not answer its controller.
    SUPERVISOR_SILENT = "CTL-0511", 3, "the supervisor does not answer",
        "The controller asked its supervisor, which did not answer in time.",
        "Try again; if it stays so, the daemon's log says why.";
    /// Only root may install the service.
    NEEDS_ROOT = "CTL-0601", 3, "root is required",
        "Installing or uninstalling the service changes files, users and services of the machine, which only root may do.",
        "Run the command with sudo. With --dry-run any user sees what it would do.";
    /// A unit file is in the way.
    UNIT_DIFFERS = "CTL-0602", 7, "the unit file differs",
        "A unit file exists that was edited, or that this version of ctl did not write. Nothing was changed.",
        "Keep your changes in a drop-in with `systemctl edit coxswain`, then pass --force to replace the file.";
    /// The service cannot be installed or uninstalled.
    INSTALL_FAILED = "CTL-0603", 3, "the service could not be installed or uninstalled",
        "The service cannot be installed here, or a step failed. The steps that were printed are done.",
        "Fix the cause and run the command again, which continues. If the unit did not start: `journalctl -u coxswain`.";
}
