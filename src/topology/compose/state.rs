//! A container as the engine describes it, in our words. Pure.

use std::net::{IpAddr, SocketAddr};

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum};

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// Created or starting.
    Coming,
    Running,
    Paused,
    /// Ended, with this exit code.
    Ended(i64),
}

/// What there is to know of a container at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) life: Life,
    /// What its health check says; `None`: it has none.
    pub(super) healthy: Option<bool>,
    /// Its health check has failed as often as it may.
    pub(super) gave_up: bool,
    /// Its first process, as the host numbers it.
    pub(super) pid: Option<u32>,
    /// Its own address, in the first network that gives one.
    pub(super) address: Option<IpAddr>,
    /// Ports of it that are published: its own, and where on this machine.
    published: Vec<(u16, SocketAddr)>,
}

impl State {
    pub(super) fn published(&self, port: u16) -> Option<SocketAddr> {
        let mut all = self.published.iter();
        all.find(|(own, _)| *own == port).map(|(_, at)| *at)
    }
}

impl From<ContainerInspectResponse> for State {
    fn from(inspected: ContainerInspectResponse) -> Self {
        let state = inspected.state.unwrap_or_default();
        let life = match state.status {
            Some(ContainerStateStatusEnum::RUNNING) => Life::Running,
            Some(ContainerStateStatusEnum::PAUSED) => Life::Paused,
            Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD) => {
                Life::Ended(state.exit_code.unwrap_or_default())
            }
            _ => Life::Coming,
        };
        let health = state.health.and_then(|health| health.status);
        let settings = inspected.network_settings.unwrap_or_default();
        let mut networks: Vec<_> = settings.networks.unwrap_or_default().into_iter().collect();
        networks.sort_by(|a, b| a.0.cmp(&b.0));
        let addresses = networks.into_iter().filter_map(|(_, end)| end.ip_address);
        let ports = settings.ports.unwrap_or_default().into_iter();
        Self {
            life,
            healthy: match health {
                None | Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) => None,
                Some(status) => Some(status == HealthStatusEnum::HEALTHY),
            },
            gave_up: health == Some(HealthStatusEnum::UNHEALTHY),
            pid: state
                .pid
                .and_then(|pid| u32::try_from(pid).ok())
                .filter(|pid| *pid > 0),
            address: addresses.filter_map(|text| text.parse().ok()).next(),
            published: ports
                .filter_map(|(own, bindings)| {
                    let own = own.strip_suffix("/tcp")?.parse().ok()?;
                    let at = bindings?.into_iter().find_map(|binding| {
                        let port: u16 = binding.host_port?.parse().ok()?;
                        let host: IpAddr = binding.host_ip?.parse().ok()?;
                        // Bound to every address: this machine's own will do.
                        let host = if host.is_unspecified() {
                            [127, 0, 0, 1].into()
                        } else {
                            host
                        };
                        Some(SocketAddr::new(host, port))
                    })?;
                    Some((own, at))
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(json: serde_json::Value) -> State {
        serde_json::from_value::<ContainerInspectResponse>(json)
            .unwrap()
            .into()
    }

    #[test]
    fn what_the_engine_says_is_understood() {
        let running = state(serde_json::json!({
            "State": {"Status": "running", "Pid": 42, "Health": {"Status": "starting"}},
            "NetworkSettings": {
                "Networks": {"a": {"IPAddress": ""}, "b": {"IPAddress": "10.1.2.3"}},
                "Ports": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "18080"}], "53/udp": null},
            },
        }));
        assert_eq!(running.life, Life::Running);
        assert_eq!((running.healthy, running.pid), (Some(false), Some(42)));
        assert_eq!(running.address, Some([10, 1, 2, 3].into()));
        assert_eq!(
            running.published(8080),
            Some(([127, 0, 0, 1], 18_080).into())
        );
        assert_eq!(running.published(8081), None);
        let ended =
            state(serde_json::json!({"State": {"Status": "exited", "ExitCode": 137, "Pid": 0}}));
        assert_eq!(
            (ended.life, ended.pid, ended.healthy),
            (Life::Ended(137), None, None)
        );
    }
}
