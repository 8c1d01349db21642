//! `ctl serve`: turns arguments into the daemon's options. The daemon itself is in the library.

use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use coxswain::api::codes;
use coxswain::api::types::{ApiError, ErrorDetail};
use coxswain::daemon::{self, PER_CLIENT, Role, ServeOptions, StartError};
use coxswain::model::{BalancerId, ExposureMode, TrustedProxies, io_error_text, is_host_name};

use crate::error::CliError;
use crate::paths::Environment;

/// Run the daemon that reconciles containers with the declared services
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// State directory [default: /var/lib/coxswain for root, otherwise under XDG_STATE_HOME]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Address to serve HTTP on; may be repeated
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080", value_parser = address)]
    http: Vec<SocketAddr>,
    /// Address to serve HTTPS on; may be repeated. Routes with `tls` are served there [default: none]
    #[arg(long, value_name = "ADDR", value_parser = address_with_port)]
    https: Vec<SocketAddr>,
    /// Path of Docker's socket [default: /var/run/docker.sock] [env: DOCKER_HOST]
    #[arg(long, value_name = "PATH")]
    docker: Option<PathBuf>,
    /// Address pool for the networks of apps
    #[arg(long, value_name = "CIDR", default_value = "10.209.0.0/16", value_parser = pool)]
    network_pool: String,
    /// How the balancer reaches containers: at their address on a bridge network, or at ports published on 127.0.0.1
    /// [default: published for rootless Docker and Docker Desktop, otherwise bridge]
    #[arg(long, value_name = "bridge|published", value_parser = exposure)]
    exposure: Option<ExposureMode>,
    /// Host name or IP address at which containers reach the balancer, used for balancer.url [default: the gateway of
    /// their network; with Docker Desktop host.docker.internal]
    #[arg(long, value_name = "HOST", value_parser = host)]
    balancer_host: Option<String>,
    /// Watch DIR: apply its *.yaml, *.yml and *.json; delete services whose manifest is removed
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Path of the node that containers may mount with `hostPath`, with all that is below it; may be repeated [default: none]
    #[arg(long, value_name = "PATH", value_parser = host_path)]
    allow_host_path: Vec<PathBuf>,
    /// Proxies in front whose X-Forwarded-* and Forwarded headers are kept and extended; anyone else's are replaced. May be
    /// repeated [default: none]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = TrustedProxies::parse_range)]
    trusted_proxies: Vec<ipnet::IpNet>,
    /// Most connections of one client address; others are answered 429. Connections of trusted proxies do not count, the
    /// requests of each client behind them do
    #[arg(long, value_name = "N", default_value_t = PER_CLIENT, value_parser = positive)]
    max_connections_per_client: usize,
    /// If the store cannot be opened, set it aside and start with an empty one; leave containers of other stores alone. A sound
    /// store is kept
    #[arg(long)]
    new_store: bool,
    /// Which process of the daemon to run; set by the supervisor for its children
    #[arg(long, hide = true)]
    role: Option<Role>,
    /// Id of this process if it is a balancer; set by the supervisor for its children
    #[arg(long, hide = true, value_parser = |id: &str| Ok::<_, std::convert::Infallible>(BalancerId::from(id)))]
    balancer_id: Option<BalancerId>,
    /// Answer whether this version can continue where a running daemon is, which is read from standard input; set by a reload
    #[arg(long, hide = true)]
    check_hand_over: bool,
}

/// An IP address with a port.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and port, such as 127.0.0.1:8080".to_owned())
}

/// One with a port that clients can be redirected to.
fn address_with_port(text: &str) -> Result<SocketAddr, String> {
    let of_any_port = || "expected a port other than 0: clients are redirected to it".to_owned();
    address(text).and_then(|address| if address.port() == 0 { Err(of_any_port()) } else { Ok(address) })
}

/// Each app gets a /24.
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
        Err("expected an IPv4 network of /24 or larger, such as 10.209.0.0/16".to_owned())
    }
}

/// An absolute path without `.` and `..`, so that what is below it can be compared as text.
fn host_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if path.is_absolute() && is_plain {
        Ok(path)
    } else {
        Err("expected an absolute path without `..`, such as /srv/data".to_owned())
    }
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "expected a number of at least 1".to_owned())
}

fn exposure(text: &str) -> Result<ExposureMode, String> {
    let named = [ExposureMode::Bridge, ExposureMode::Published]
        .into_iter()
        .find(|exposure| exposure.to_string() == text);
    named.ok_or_else(|| "expected `bridge` or `published`".to_owned())
}

/// The host as it appears in a URL: IPv6 in brackets. Rejects loopback, which inside a container is the container.
fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let loopback = "inside a container that address is the container itself; use this node's network address";
    match bare.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => return Err(loopback.to_owned()),
        Ok(IpAddr::V6(address)) => return Ok(format!("[{address}]")),
        Ok(IpAddr::V4(address)) => return Ok(address.to_string()),
        Err(_) if text == "localhost" => return Err(loopback.to_owned()),
        Err(_) => {}
    }
    let name = text.to_ascii_lowercase();
    // A name whose last label is a number is a mistyped address.
    let is_address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    match is_host_name(&name) && !is_address {
        true => Ok(name),
        false => Err("expected a host name or IP address without a port, such as 192.168.1.5".to_owned()),
    }
}

pub(crate) fn run(args: Args, socket: PathBuf, environment: &Environment) -> Result<(), CliError> {
    let docker = match args.docker {
        Some(path) => path,
        None => environment.docker().map_err(|reason| CliError::of(&codes::USAGE, reason))?,
    };
    // The supervisor has checked it for its children; a directory removed later becomes a condition.
    let manifests = match (args.manifests, args.role) {
        // a reload continues where the daemon is: there too a missing directory is a condition
        (Some(directory), None) if args.check_hand_over || daemon::continues() => {
            Some(std::path::absolute(&directory).unwrap_or(directory))
        }
        (Some(directory), None) => Some(checked_directory(&directory)?),
        (directory, _) => directory,
    };
    let options = ServeOptions {
        state_dir: args.state_dir.unwrap_or_else(|| environment.state_dir()),
        socket,
        http: args.http,
        https: args.https,
        docker,
        network_pool: args.network_pool,
        exposure: args.exposure,
        balancer_host: args.balancer_host,
        balancer_id: args.balancer_id,
        new_store: args.new_store,
        manifests,
        allow_host_path: args.allow_host_path,
        trusted_proxies: TrustedProxies::new(args.trusted_proxies),
        max_connections_per_client: args.max_connections_per_client,
    };
    if args.check_hand_over {
        return daemon::check_hand_over().map_err(start_failure);
    }
    let served = match args.role {
        Some(role) => daemon::run_role(role, options),
        None => daemon::serve(options),
    };
    served.map_err(start_failure)
}

/// The absolute path of the manifests directory; an error if it cannot be read.
fn checked_directory(directory: &Path) -> Result<PathBuf, CliError> {
    let unreadable = |error: std::io::Error| {
        let why = vec![format!("{}: {}", directory.display(), io_error_text(&error))];
        ErrorDetail { why, ..codes::FILE_UNREADABLE.detail("cannot read the manifests directory") }.into()
    };
    std::fs::read_dir(directory).and_then(|_| std::path::absolute(directory)).map_err(unreadable)
}

/// Keeps the code of an error that has one, and lists all causes.
fn start_failure(error: anyhow::Error) -> CliError {
    let error = match error.downcast::<ApiError>() {
        Ok(error) => return error.into(),
        Err(error) => error,
    };
    let code = error.downcast_ref::<StartError>().and_then(|reason| codes::find(reason.code()));
    let why = error.chain().skip(1).map(ToString::to_string).collect();
    ErrorDetail { why, ..code.unwrap_or(&codes::SERVE_FAILED).detail(error.to_string()) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_needs_a_port_that_clients_can_be_redirected_to() {
        assert!(address_with_port("0.0.0.0:443").is_ok());
        for text in ["0.0.0.0:0", "0.0.0.0", "example.org:443"] {
            assert!(address_with_port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn host_path_is_absolute_and_plain() {
        for (text, is_sound) in [
            ("/srv", true),
            ("/", true),
            ("/srv/", true),
            ("srv", false),
            ("/srv/../etc", false),
            ("", false),
        ] {
            assert_eq!(host_path(text).is_ok(), is_sound, "{text}");
        }
    }

    #[test]
    fn host_rejects_loopback_ports_and_urls() {
        for (text, expected) in [
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
            assert_eq!(host(text).ok().as_deref(), expected, "{text}");
        }
        assert!(host(&"a".repeat(64)).is_err());
    }
}
