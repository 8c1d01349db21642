//! `ctl route explain`: shows which route takes a request, and why.

use std::net::IpAddr;

use clap::{Subcommand, ValueEnum};
use coxswain::api::codes;
use coxswain::api::types::{ErrorDetail, ExplainedRequest};

use crate::error::CliError;
use crate::output::route_explanation;
use crate::session::Session;

/// Explain how requests are routed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: RouteCommand,
}

#[derive(Debug, Subcommand)]
enum RouteCommand {
    /// Show which route takes a request, why others do not, and which replicas may answer
    ///
    /// Asks the daemon's routing table; no request is sent. `-H "Host: NAME"` replaces the host of the URL.
    Explain(ExplainArgs),
}

#[derive(Debug, clap::Args)]
struct ExplainArgs {
    /// URL of the request; `http://` may be left out
    url: String,
    /// Header of the request, such as `x-beta: 1`; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Method of the request
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,
    /// Address of the client, for routes with `allow`
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ExplanationFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExplanationFormat {
    Text,
    Json,
    Yaml,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let RouteCommand::Explain(args) = args.action;
    let request = request(&args).map_err(|why| {
        let what = format!("`{}` is not the URL of a request", args.url);
        CliError::from(ErrorDetail { why: vec![why], ..codes::USAGE.detail(what) })
    })?;
    let explanation = session.client.explain_route(&request).await?;
    let bad = |reason: String| CliError::Output(std::io::Error::other(reason));
    match args.output {
        ExplanationFormat::Text => {
            session.ui.out(&route_explanation::text(&request, &explanation, session.ui.style()))
        }
        ExplanationFormat::Json => {
            let text = serde_json::to_string_pretty(&explanation).map_err(|error| bad(error.to_string()))?;
            session.ui.raw(&text)
        }
        ExplanationFormat::Yaml => {
            let text = serde_saphyr::to_string(&explanation).map_err(|error| bad(error.to_string()))?;
            session.ui.raw(text.trim_end())
        }
    }
}

/// `Name: value`, as curl takes it.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected `name: value`")?;
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("`{name}` is not the name of a header"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// The balancer removes a fragment as little as any client sends one.
fn request(args: &ExplainArgs) -> Result<ExplainedRequest, String> {
    let whole = if args.url.contains("://") { args.url.clone() } else { format!("http://{}", args.url) };
    let without_fragment = whole.split('#').next().unwrap_or_default();
    let uri: http::Uri =
        without_fragment.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("expected http or https".to_owned());
    }
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let (hosts, headers): (Vec<_>, Vec<_>) =
        args.headers.iter().cloned().partition(|(name, _)| name.eq_ignore_ascii_case("host"));
    let authority = hosts.into_iter().next().map_or_else(|| authority.to_owned(), |(_, host)| host);
    Ok(ExplainedRequest {
        https: uri.scheme_str() == Some("https"),
        method: args.method.clone(),
        authority,
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        headers,
        client: args.from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, headers: &[&str]) -> Result<ExplainedRequest, String> {
        let headers = headers.iter().map(|text| header(text).unwrap()).collect();
        let output = ExplanationFormat::Text;
        request(&ExplainArgs { url: url.to_owned(), headers, method: "GET".to_owned(), from: None, output })
    }

    #[test]
    fn url_is_taken_apart_like_a_client_does() {
        let rows = [
            ("http://shop.acme.dev/a?b=c#d", "shop.acme.dev", "/a", Some("b=c")),
            ("shop.acme.dev:8080", "shop.acme.dev:8080", "/", None),
            ("https://[::1]/%2F;x", "[::1]", "/%2F;x", None),
        ];
        for (url, authority, path, query) in rows {
            let request = of(url, &[]).unwrap();
            let found = (request.authority.as_str(), request.path.as_str(), request.query.as_deref());
            assert_eq!(found, (authority, path, query), "{url}");
        }
        for bad in ["", "ftp://a/b", "http://a b/", "/only/a/path"] {
            assert!(of(bad, &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_header_replaces_the_host_of_the_url() {
        let request = of("http://127.0.0.1:8080/x", &["Host: shop.acme.dev", "X-Beta:1"]).unwrap();
        assert_eq!((request.authority.as_str(), request.headers.len()), ("shop.acme.dev", 1));
        assert!(header("x-beta").is_err() && header(" : 1").is_err() && header("a b: 1").is_err());
    }
}
