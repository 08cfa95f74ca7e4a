//! The shape of one route, and how a request finds it.
//!
//! A path is a list of fixed words and variables, `/v1/plans/{id}`. Nothing here knows what is served.

use std::future::Future;
use std::pin::Pin;

use hyper::Response;
use ov_types::api::Refusal;

use super::answer::{Body, NO_SUCH_ROUTE, WRONG_METHOD, wrong};
use super::call::Call;

/// What a handler gives back.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Refusal>> + Send>>;

/// One thing that can be asked.
#[cfg_attr(not(test), expect(dead_code, reason = "what describes it is read when the OpenAPI document is made"))]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    /// The schema of the request's body, if it has one.
    pub(super) takes: Option<&'static str>,
    pub(super) gives: Gives,
    pub(super) serve: fn(Call) -> Answer,
}

/// One parameter of a query.
#[cfg_attr(not(test), expect(dead_code, reason = "what describes it is read when the OpenAPI document is made"))]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) schema: &'static str,
    pub(super) summary: &'static str,
}

/// What a route answers when it does not refuse. The names are those of schemas.
#[cfg_attr(not(test), expect(dead_code, reason = "the names are read when the OpenAPI document is made"))]
pub(super) enum Gives {
    One(&'static str),
    List(&'static str),
    Events,
    Metrics,
    Document,
}

/// The variables of a path, by name.
pub(super) type Variables = Vec<(&'static str, String)>;

/// Finds the route for a request.
pub(super) fn find<'a>(
    routes: &'a [Route],
    method: &str,
    path: &str,
) -> Result<(&'a Route, Variables), (Refusal, Vec<&'static str>)> {
    let mut allowed = Vec::new();
    for route in routes {
        let Some(variables) = fit(route.path, path) else { continue };
        if route.method == method {
            return Ok((route, variables));
        }
        allowed.push(route.method);
    }
    if allowed.is_empty() {
        return Err((unknown(routes, path), allowed));
    }
    let cause = format!("`{}` is served for {} only", shown(path), allowed.join(", "));
    Err((wrong(WRONG_METHOD, &format!("serve a {} request", shown(method)), cause), allowed))
}

/// The variables with which `pattern` becomes `path`.
fn fit(pattern: &'static str, path: &str) -> Option<Variables> {
    let mut variables = Vec::new();
    let (mut words, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (words.next(), parts.next()) {
            (None, None) => return Some(variables),
            (Some(word), Some(part)) => match word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
                Some(name) if !part.is_empty() => variables.push((name, part.to_owned())),
                None if word == part => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

fn unknown(routes: &[Route], path: &str) -> Refusal {
    let mut near: Vec<(usize, String)> = routes
        .iter()
        .map(|route| (strsim::levenshtein(route.path, &shown(path)), format!("{} {}", route.method, route.path)))
        .collect();
    near.sort();
    let near: Vec<String> = near.into_iter().take(3).map(|(_, route)| route).collect();
    let mut refusal = wrong(NO_SUCH_ROUTE, "find the route", format!("there is no `{}`", shown(path)));
    refusal.problem.hint = format!("the nearest are {}; all are in GET /v1/openapi.json", near.join(", "));
    refusal
}

/// What a peer sent, cut to a length that fits a message.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 128;
    text.chars().take(SHOWN_MAX).collect()
}
