//! `ctl serve`: from arguments to the daemon's options; the daemon itself is in the library.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use coxswain::api::codes;
use coxswain::api::types::ApiError;
use coxswain::daemon::{self, Role, ServeOptions, StartError};
use coxswain::model::{ExposureMode, is_host_name};

use crate::error::CliError;
use crate::files::spoken;
use crate::places::Environment;

/// Run the daemon: it makes what is declared so, and keeps it so
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the store lies [default: /var/lib/coxswain for root, else under XDG_STATE_HOME]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Address of the HTTP entry point; may be repeated
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080", value_parser = address)]
    http: Vec<SocketAddr>,
    /// Docker's socket [default: /var/run/docker.sock] [env: DOCKER_HOST]
    #[arg(long, value_name = "PATH")]
    docker: Option<PathBuf>,
    /// Addresses that the networks of apps are taken from
    #[arg(long, value_name = "CIDR", default_value = "10.209.0.0/16", value_parser = pool)]
    network_pool: String,
    /// How containers are reached: at their address on a bridge network, or at ports published on 127.0.0.1 [default:
    /// published for rootless Docker and Docker Desktop, else bridge]
    #[arg(long, value_name = "HOW", value_parser = exposure)]
    exposure: Option<ExposureMode>,
    /// Host name or IP address by which containers reach the balancer, for the field balancer.url [default: the gateway
    /// of their network; with Docker Desktop host.docker.internal]
    #[arg(long, value_name = "HOST", value_parser = host)]
    balancer_host: Option<String>,
    /// Follow this directory: apply its *.yaml, *.yml and *.json, delete what goes from it
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Start with a new store although containers of an earlier one run
    #[arg(long)]
    new_store: bool,
    /// Which part of the daemon to be; the supervisor starts its children with this
    #[arg(long, hide = true)]
    role: Option<Role>,
}

/// An IP address with a port.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:8080".to_owned())
}

/// Each app takes a /24, so a smaller pool would hold none.
const POOL_MAX_PREFIX: u8 = 24;

/// An IPv4 network that holds at least one /24.
fn pool(text: &str) -> Result<String, String> {
    let fits = text.split_once('/').is_some_and(|(address, prefix)| {
        let prefix = prefix.parse::<u8>();
        address.parse::<std::net::Ipv4Addr>().is_ok() && prefix.is_ok_and(|prefix| prefix <= POOL_MAX_PREFIX)
    });
    if fits {
        Ok(text.to_owned())
    } else {
        Err("write an IPv4 network of /24 or larger, such as 10.209.0.0/16".to_owned())
    }
}

fn exposure(text: &str) -> Result<ExposureMode, String> {
    let named = [ExposureMode::Bridge, ExposureMode::Published]
        .into_iter()
        .find(|exposure| exposure.to_string() == text);
    named.ok_or_else(|| "write `bridge` or `published`".to_owned())
}

/// As it stands in a URL: an IPv6 address in brackets. Of itself a container knows loopback too, and means itself by it.
fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let own = "a container means itself by that; write the address of this machine in its network";
    match bare.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => return Err(own.to_owned()),
        Ok(IpAddr::V6(address)) => return Ok(format!("[{address}]")),
        Ok(IpAddr::V4(address)) => return Ok(address.to_string()),
        Err(_) if text == "localhost" => return Err(own.to_owned()),
        Err(_) => {}
    }
    let name = text.to_ascii_lowercase();
    // A name whose last label is a number is an address that is wrong.
    let is_address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    match is_host_name(&name) && !is_address {
        true => Ok(name),
        false => Err("write a host name or an IP address, without a port, such as 192.168.1.5".to_owned()),
    }
}

pub(crate) fn run(args: Args, socket: PathBuf, environment: &Environment) -> Result<(), CliError> {
    let docker = match args.docker {
        Some(path) => path,
        None => environment.docker().map_err(|reason| CliError::of(&codes::USAGE, reason))?,
    };
    // A child was given what the supervisor checked; a directory that went since is said by a condition.
    let manifests = match (args.manifests, args.role) {
        (Some(directory), None) => Some(followed(&directory)?),
        (directory, _) => directory,
    };
    let options = ServeOptions {
        state_dir: args.state_dir.unwrap_or_else(|| environment.state_dir()),
        socket,
        http: args.http,
        docker,
        network_pool: args.network_pool,
        exposure: args.exposure,
        balancer_host: args.balancer_host,
        new_store: args.new_store,
        manifests,
    };
    let served = match args.role {
        Some(role) => daemon::run_role(role, options),
        None => daemon::serve(options),
    };
    served.map_err(refused)
}

/// The directory to follow, absolute; refused where it is none or cannot be read.
fn followed(directory: &Path) -> Result<PathBuf, CliError> {
    let refused = |error: std::io::Error| {
        let why = vec![format!("{}: {}", directory.display(), spoken(&error))];
        ApiError { why, ..codes::FILE_UNREADABLE.error("the manifests directory cannot be read") }.into()
    };
    std::fs::read_dir(directory).and_then(|_| std::path::absolute(directory)).map_err(refused)
}

/// A reason that has a code is told under it; every reason is told with its causes.
fn refused(error: anyhow::Error) -> CliError {
    let error = match error.downcast::<ApiError>() {
        Ok(told) => return told.into(),
        Err(error) => error,
    };
    let code = error.downcast_ref::<StartError>().and_then(|reason| codes::find(reason.code()));
    let why = error.chain().skip(1).map(ToString::to_string).collect();
    ApiError { why, ..code.unwrap_or(&codes::SERVE_FAILED).error(error.to_string()) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_that_a_container_can_mean() {
        for (text, host_of) in [
            ("192.168.1.5", Some("192.168.1.5")),
            ("harbour.lan", Some("harbour.lan")),
            ("fd00::2", Some("[fd00::2]")),
            ("[fd00::2]", Some("[fd00::2]")),
            ("127.0.0.1", None),
            ("localhost", None),
            ("[::1]", None),
            ("0.0.0.0", None),
            ("999.1.1.1", None),
            ("http://harbour", None),
            ("harbour:8080", None),
            ("-harbour", None),
            ("", None),
        ] {
            assert_eq!(host(text).ok().as_deref(), host_of, "{text}");
        }
        assert!(host(&"a".repeat(64)).is_err());
    }
}
