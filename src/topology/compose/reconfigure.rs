//! Other settings for nginx in its container, where it runs with our configuration.

use super::Compose;
use crate::scenario::Nginx;
use crate::topology::TopologyError;
use crate::topology::lives::ReloadSeen;

impl Compose {
    /// The scenario's settings.
    pub fn settings(&self) -> &Nginx {
        &self.spec.topology.nginx
    }

    /// Gives nginx other settings and reloads it; returns when there are new workers. Settings that it refuses bring no
    /// new workers, and its log says why.
    ///
    /// # Errors
    /// It runs with a configuration that is not ours, or as [`Self::reload_proxy`].
    pub async fn reconfigure_proxy(&self, nginx: &Nginx) -> Result<ReloadSeen, TopologyError> {
        let Some(text) = self.spec.conf(&self.asked, self.upstreams(), nginx) else {
            return Err(TopologyError::State {
                name: self.proxy()?.name.clone(),
                state: "run with a configuration of its own; this fault needs wssoak's, mounted from ${WSSOAK_RESULTS}/nginx.conf",
            });
        };
        self.reload_with(&text).await
    }

    /// Has nginx connect to the nodes again, since the relays go with the run and the containers stay.
    pub(super) async fn without_relays(&self) {
        let nodes = self.spec.nodes(&self.asked, self.net.get());
        let Some(text) = self.spec.conf(&self.asked, nodes, self.settings()) else {
            return;
        };
        if let Err(error) = self.reload_with(&text).await {
            let why = crate::error::chain(&error);
            let note = format!("nginx still looks for the relays, which are gone: {why}");
            self.notes.borrow_mut().push(note);
        }
    }

    async fn reload_with(&self, text: &str) -> Result<ReloadSeen, TopologyError> {
        let path = self.spec.results.join("nginx.conf");
        let doing = |source| TopologyError::io(format!("writing {}", path.display()), source);
        let old = std::fs::read(&path).map_err(doing)?;
        // In place: a renamed file would not be the one that is mounted.
        std::fs::write(&path, text).map_err(doing)?;
        let reloaded = self.reload_proxy().await;
        if reloaded.is_err() {
            std::fs::write(&path, old).map_err(doing)?;
        }
        reloaded
    }
}
