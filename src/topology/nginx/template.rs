//! A user's own nginx configuration with placeholders such as `{{listen}}`, filled in. Pure.

use std::path::Path;

use super::conf::{self, ConfInput};

/// Without these a run can neither reach nginx nor keep its books.
const REQUIRED: &[&str] = &[
    "listen",
    "status_listen",
    "upstream_servers",
    "log_format",
    "access_log",
    "error_log",
    "pid",
];
const OPTIONAL: &[&str] = &[
    "user",
    "scratch",
    "balance",
    "worker_processes",
    "worker_connections",
    "worker_rlimit_nofile",
    "template_dir",
];

/// What is wrong with a template, and where. Shown as `line:column: sentence`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {sentence}")]
pub struct TemplateError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What to do about it.
    pub sentence: String,
}

/// Fills in the placeholders. `folder` is where the template lies, for `include {{template_dir}}/…`.
///
/// # Errors
/// A placeholder is unknown or unfinished, or a required one is missing (reported at the end of the file).
pub fn fill(template: &str, folder: &Path, input: &ConfInput) -> Result<String, TemplateError> {
    let mut text = String::with_capacity(template.len() + 1_024);
    let mut seen: Vec<&str> = Vec::new();
    let mut rest = template;
    // A placeholder in a comment is filled in but does not count as present.
    while let Some(start) = rest.find("{{") {
        let at = template.len() - rest.len() + start;
        let error = |sentence: String| located(template, at, sentence);
        let end = rest[start..]
            .find("}}")
            .filter(|end| !rest[start..start + end].contains('\n'))
            .ok_or_else(|| error("`{{` opens a placeholder that no `}}` closes".into()))?;
        let name = rest[start + 2..start + end].trim();
        let value = value(name, folder, input).ok_or_else(|| error(unknown(name)))?;
        text.push_str(&rest[..start]);
        let line_start = text.rfind('\n').map_or(0, |newline| newline + 1);
        if !text[line_start..].trim_start().starts_with('#') {
            seen.push(name);
        }
        text.push_str(&value);
        rest = &rest[start + end + 2..];
    }
    text.push_str(rest);
    match REQUIRED.iter().find(|name| !seen.contains(name)) {
        Some(missing) => Err(located(
            template,
            template.len(),
            format!("`{{{{{missing}}}}}` is missing; {}", purpose(missing)),
        )),
        None => Ok(text),
    }
}

fn value(name: &str, folder: &Path, input: &ConfInput) -> Option<String> {
    Some(match name {
        "listen" => input.listen.to_string(),
        "status_listen" => input.status_listen.to_string(),
        "upstream_servers" => conf::upstream_servers(input).trim_start().to_owned(),
        "balance" => uncommented(conf::balance_directive(input.nginx.balance)),
        "log_format" => conf::log_format().trim_start().to_owned(),
        "access_log" => conf::quoted(&input.access_log),
        "error_log" => conf::quoted(&input.error_log),
        "pid" => conf::quoted(&input.pid_file()),
        "user" => uncommented(conf::user_directive(input)),
        // Bare, since the template goes on behind it: `{{scratch}}/body`.
        "scratch" => input.scratch.display().to_string(),
        "template_dir" => folder.display().to_string(),
        "worker_processes" => input.sizing.worker_processes.to_string(),
        "worker_connections" => input.sizing.worker_connections.to_string(),
        "worker_rlimit_nofile" => input.sizing.worker_rlimit_nofile.to_string(),
        _ => return None,
    })
}

/// Directives without our comments: a template may go on behind them on the same line.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.starts_with('#')).collect()
}

fn purpose(name: &str) -> &'static str {
    match name {
        "listen" => "write `listen {{listen}};` in the server that clients connect to",
        "status_listen" => {
            "add `server { listen {{status_listen}}; access_log off; location / { stub_status; } }`"
        }
        "upstream_servers" => "put it into the `upstream` block instead of `server` lines",
        "log_format" => "put it into the `http` block: it defines the log format `ws`",
        "access_log" => "write `access_log {{access_log}} ws;` in the `http` block",
        "error_log" => {
            "write `error_log {{error_log}} info;`: idle timeouts are logged at info only"
        }
        _ => "write `pid {{pid}};` at the top level",
    }
}

fn unknown(name: &str) -> String {
    let known = REQUIRED.iter().chain(OPTIONAL);
    let near = known
        .clone()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, near)) => {
            format!("`{{{{{name}}}}}` is no placeholder; did you mean `{{{{{near}}}}}`?")
        }
        None => {
            let all: Vec<&str> = known.copied().collect();
            format!(
                "`{{{{{name}}}}}` is no placeholder; there are {}",
                all.join(", ")
            )
        }
    }
}

fn located(template: &str, at: usize, sentence: String) -> TemplateError {
    let before = &template[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    TemplateError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        sentence,
    }
}

#[cfg(test)]
mod tests {
    use super::super::conf::tests::input;
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = "pid {{pid}};\nerror_log {{ error_log }} info;\nhttp {\n{{log_format}}\naccess_log {{access_log}} ws;\n\
        upstream u { {{upstream_servers}} }\nserver { listen {{listen}}; }\nserver { listen {{status_listen}}; }\n}\n";

    fn filled(template: &str) -> Result<String, String> {
        fill(template, Path::new("/etc/mine"), &input()).map_err(|error| error.to_string())
    }

    #[test]
    fn placeholders_are_filled_in() {
        let text = filled(&format!("include {{{{template_dir}}}}/x;\n{WHOLE}")).unwrap();
        assert!(text.starts_with("include /etc/mine/x;\npid /tmp/wssoak-0/nginx.pid;\n"));
        assert!(text.contains("listen 127.0.0.1:18080;"), "{text}");
        assert!(!text.contains("{{"), "{text}");
    }

    #[test]
    fn mistakes_are_located() {
        for (template, want) in [
            (
                WHOLE.replace("{{listen}}", "{{lisen}}"),
                "7:17: `{{lisen}}` is no placeholder; did you mean `{{listen}}`?",
            ),
            (
                WHOLE.replace("{{pid}}", "{{pid"),
                "1:5: `{{` opens a placeholder that no `}}` closes",
            ),
            (
                WHOLE.replace("pid {{pid}}", "# {{pid}}"),
                "10:1: `{{pid}}` is missing; write `pid {{pid}};` at the top level",
            ),
            (
                WHOLE.replace("{{pid}}", "{{qqq}}"),
                "1:5: `{{qqq}}` is no placeholder; there are",
            ),
        ] {
            let error = filled(&template).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_template_is_read_without_panic(template in "(\\{\\{|\\}\\}|listen|\n|é|.){0,40}") {
            let _ = filled(&template);
        }
    }
}
