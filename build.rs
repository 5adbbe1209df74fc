//! Builds nginx from the `nginx-src` crate, so that the binary can be embedded (feature `bundled-nginx`).
//!
//! `nginx_src::build` takes its options from the environment of its process. Setting the environment of a running
//! process is unsafe, so this program runs itself once more as a child with the environment it wants.

use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "bundled-nginx")]
    if let Err(sentence) = bundled::build() {
        // One `cargo::error` line is shown to the user as it is; a panic would bury it in a trace.
        println!("cargo::error={sentence}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(feature = "bundled-nginx")]
mod bundled {
    use std::env;
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    /// Set in the child; its value is the folder to build in.
    const CHILD: &str = "WSSOAK_BUILD_NGINX_IN";

    /// Variables that change the nginx that comes out. A user may add configure arguments with the first.
    const INPUTS: [&str; 4] = ["NGX_CONFIGURE_ARGS", "NGX_CFLAGS", "NGX_LDFLAGS", "CC"];

    /// Variables with which `nginx-src` would download other sources than those it brings.
    const DOWNLOADS: [&str; 4] = [
        "NGX_VERSION",
        "OPENSSL_VERSION",
        "PCRE2_VERSION",
        "ZLIB_VERSION",
    ];

    const WAY_ROUND: &str =
        "or build with `--no-default-features` and have nginx on PATH when wssoak runs";

    pub(crate) fn build() -> Result<(), String> {
        if let Some(folder) = env::var_os(CHILD) {
            // The parent shows the last lines of the output, which are those of `configure` or `make`.
            return nginx_src::build(PathBuf::from(folder))
                .map(drop)
                .map_err(|error| error.to_string());
        }
        for variable in INPUTS {
            println!("cargo::rerun-if-env-changed={variable}");
        }
        let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo set no OUT_DIR")?);
        check_tools()?;
        compile(&out.join("nginx"), &configure_arguments()?)
    }

    /// Everything nginx's own `configure` would stumble over, said before it starts.
    fn check_tools() -> Result<(), String> {
        needs(
            compiles("int main(void) { return 0; }"),
            "a C compiler",
            "gcc and libc6-dev (Debian, Ubuntu) or gcc (Fedora)",
        )?;
        let make = ["gmake", "make"].iter().any(|make| {
            Command::new(make)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        });
        needs(make, "make", "make")?;
        needs(
            compiles("#include <openssl/ssl.h>\n"),
            "the header openssl/ssl.h",
            "libssl-dev (Debian, Ubuntu) or openssl-devel (Fedora)",
        )?;
        needs(
            compiles("#include <zlib.h>\n"),
            "the header zlib.h",
            "zlib1g-dev (Debian, Ubuntu) or zlib-ng-compat-devel (Fedora)",
        )
    }

    fn needs(present: bool, what: &str, package: &str) -> Result<(), String> {
        if present {
            return Ok(());
        }
        Err(format!(
            "{what} is missing, which building the bundled nginx needs; install {package}, {WAY_ROUND}"
        ))
    }

    /// Does the compiler that nginx will use accept this text?
    fn compiles(text: &str) -> bool {
        let cc = env::var_os("CC").unwrap_or_else(|| "cc".into());
        let child = Command::new(cc)
            .args(["-fsyntax-only", "-x", "c", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else { return false };
        let written = child
            .stdin
            .take()
            .is_some_and(|mut stdin| stdin.write_all(text.as_bytes()).is_ok());
        child.wait().is_ok_and(|status| status.success()) && written
    }

    fn configure_arguments() -> Result<String, String> {
        let mut arguments = vec!["--with-http_stub_status_module".to_owned()];
        // The rewrite module (`return`, `if`, `set`) needs PCRE; a user's own template may want it, ours does not.
        if !compiles("#define PCRE2_CODE_UNIT_WIDTH 8\n#include <pcre2.h>\n") {
            arguments.extend([
                "--without-pcre".into(),
                "--without-http_rewrite_module".into(),
            ]);
        }
        match env::var("NGX_CONFIGURE_ARGS") {
            Ok(extra) => arguments.push(extra),
            Err(env::VarError::NotPresent) => {}
            Err(error) => return Err(format!("NGX_CONFIGURE_ARGS: {error}")),
        }
        Ok(arguments.join(" "))
    }

    fn compile(folder: &Path, arguments: &str) -> Result<(), String> {
        let program = env::current_exe().map_err(|e| format!("finding the build script: {e}"))?;
        let or = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.into());
        let mut child = Command::new(program);
        child
            .env(CHILD, folder)
            .env("NGX_CONFIGURE_ARGS", arguments)
            .env("NGX_CFLAGS", or("NGX_CFLAGS", "-O2"))
            // nginx's makefile insists on -g; stripping at the link keeps the embedded file small.
            .env("NGX_LDFLAGS", or("NGX_LDFLAGS", "-s"));
        for variable in DOWNLOADS {
            child.env_remove(variable);
        }
        let output = child
            .output()
            .map_err(|e| format!("running the build of nginx: {e}"))?;
        if output.status.success() && folder.join("nginx").is_file() {
            return Ok(());
        }
        let log = folder.with_extension("log");
        let mut text = output.stdout;
        text.extend(output.stderr);
        // The log only helps the reader; the sentence below stands without it.
        let _ = fs::write(&log, &text);
        let text = String::from_utf8_lossy(&text);
        let last: Vec<&str> = text
            .lines()
            .rev()
            .filter(|l| !l.trim().is_empty() && !l.starts_with("cargo::"))
            .take(2)
            .collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(format!(
            "building the bundled nginx failed ({}); the whole output is in {}; fix that, {WAY_ROUND}",
            last.join(" | "),
            log.display()
        ))
    }
}
