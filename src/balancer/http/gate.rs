//! Lets a request pass the gate of its route, or answers it: address, password, length, redirect.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::forward::ForwardedRequest;
use super::local_reply::LocalReply;
use crate::balancer::password_checks::PasswordAnswer;
use crate::balancer::route_gate::{GateAuth, GateRedirect, RouteGate};
use crate::routing::redirect::location;

impl ForwardedRequest<'_> {
    /// Checks the request. The address comes first, as it costs nothing; a redirect last, so that it shows nothing to those
    /// who may not come in.
    pub(super) async fn pass(&mut self, gate: Arc<RouteGate>) -> Result<(), LocalReply> {
        self.check(&gate).await.map_err(|reply| reply.with_page(Some(&gate)))?;
        self.picks.pass(gate);
        Ok(())
    }

    async fn check(&mut self, gate: &Arc<RouteGate>) -> Result<(), LocalReply> {
        if !gate.allows(self.address) {
            self.handler.connections.log.report_not_allowed(self.reported_address());
            return Err(LocalReply::NotAllowed);
        }
        if gate.maintenance {
            return Err(LocalReply::Maintenance);
        }
        if let Some(auth) = &gate.auth {
            self.authenticate(auth).await?;
        }
        if let Some(redirect) = &gate.redirect {
            return Err(self.redirect(redirect, gate));
        }
        if let Some(most) = gate.max_body {
            self.body.limit(most).map_err(LocalReply::BodyTooLarge)?;
        }
        Ok(())
    }

    async fn authenticate(&self, auth: &GateAuth) -> Result<(), LocalReply> {
        let refusal = || LocalReply::Unauthorized(auth.challenge.clone());
        let (user, password) = credentials(&self.head.headers).ok_or_else(refusal)?;
        let passwords = &self.handler.connections.shared.passwords;
        match passwords.check(self.reported_address(), &auth.users, &user, &password).await {
            PasswordAnswer::Right => Ok(()),
            PasswordAnswer::Wrong => {
                self.handler.connections.log.report_wrong_password(self.reported_address());
                Err(refusal())
            }
            PasswordAnswer::Busy => Err(LocalReply::PasswordsBusy),
        }
    }

    /// The address of the client in logs and counts: that of the proxy, if it names none that can be read.
    fn reported_address(&self) -> IpAddr {
        self.address.unwrap_or(self.client.peer.ip)
    }

    fn redirect(&self, redirect: &GateRedirect, gate: &Arc<RouteGate>) -> LocalReply {
        let GateRedirect { action, path } = redirect;
        // it was read as text when its host was
        let authority = self.target.authority.to_str().unwrap_or_default();
        let location = location(action, path, authority, self.target.path(), self.target.query());
        match (HeaderValue::from_bytes(location.as_bytes()), StatusCode::from_u16(action.status)) {
            (Ok(location), Ok(status)) => LocalReply::Redirect { status, location, gate: Arc::clone(gate) },
            // the table was checked, and a request's target has no byte that a header must not have
            _ => LocalReply::NoRoute,
        }
    }
}

/// User and password of HTTP Basic authentication (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?.to_str().ok()?;
    let (scheme, encoded) = line.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let at = decoded.iter().position(|byte| *byte == b':')?;
    let user = str::from_utf8(&decoded[..at]).ok()?.to_owned();
    Some((user, decoded[at + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_one_line_of_the_basic_scheme() {
        type Row = (&'static [&'static str], Option<(&'static str, &'static str)>);
        let rows: [Row; 8] = [
            (&["Basic YW5uYTpzZWNyZXQ="], Some(("anna", "secret"))),
            (&["basic  YW5uYTphOmI="], Some(("anna", "a:b"))),
            (&["Basic OnNlY3JldA=="], Some(("", "secret"))),
            (&["Basic YW5uYQ=="], None),
            (&["Basic %%%"], None),
            (&["Bearer YW5uYTpzZWNyZXQ="], None),
            (&["Basic YW5uYTpzZWNyZXQ=", "Basic YW5uYTpzZWNyZXQ="], None),
            (&[], None),
        ];
        for (lines, wanted) in rows {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, HeaderValue::from_static(line));
            }
            let wanted = wanted.map(|(user, password)| (user.to_owned(), password.as_bytes().to_vec()));
            assert_eq!(credentials(&headers), wanted, "{lines:?}");
        }
    }
}
