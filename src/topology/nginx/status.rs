//! nginx's `stub_status` page, read. Pure.

/// The counters of `stub_status`. Totals are of the whole nginx since its master started; a reload keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StubStatus {
    /// Client connections open now, the asking one included. Open tunnels count here and under `writing`.
    pub active: u64,
    /// Client connections accepted.
    pub accepts: u64,
    /// Of those, handled; the difference was dropped for want of `worker_connections`.
    pub handled: u64,
    /// Requests, handshakes and status requests alike; the asking one included.
    pub requests: u64,
    /// Connections whose request is being read.
    pub reading: u64,
    /// Connections being answered; open tunnels stay here.
    pub writing: u64,
    /// Idle keep-alive connections.
    pub waiting: u64,
}

impl StubStatus {
    /// Reads the page. `None` when it is not one.
    pub fn parse(page: &str) -> Option<Self> {
        let mut lines = page.lines();
        let active = lines.next()?.trim().strip_prefix("Active connections:")?;
        if !lines
            .next()?
            .trim()
            .starts_with("server accepts handled requests")
        {
            return None;
        }
        let mut totals = lines
            .next()?
            .split_whitespace()
            .map(|word| word.parse().ok());
        let mut states = lines.next()?.split_whitespace();
        let mut state = |name: &str| -> Option<u64> {
            (states.next()? == name).then(|| states.next()?.parse().ok())?
        };
        Some(Self {
            active: active.trim().parse().ok()?,
            accepts: totals.next()??,
            handled: totals.next()??,
            requests: totals.next()??,
            reading: state("Reading:")?,
            writing: state("Writing:")?,
            waiting: state("Waiting:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_is_read() {
        let page = "Active connections: 6 \nserver accepts handled requests\n 16 15 14 \nReading: 1 Writing: 5 Waiting: 2 \n";
        assert_eq!(
            StubStatus::parse(page),
            Some(StubStatus {
                active: 6,
                accepts: 16,
                handled: 15,
                requests: 14,
                reading: 1,
                writing: 5,
                waiting: 2
            })
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(page in "(Active connections: )?[0-9]{0,25}\n?(server accepts handled requests)?\n?.{0,60}") {
            let _ = StubStatus::parse(&page);
        }

        #[test]
        fn every_page_reads_back(numbers: [u64; 7]) {
            let [active, accepts, handled, requests, reading, writing, waiting] = numbers;
            let page = format!("Active connections: {active} \nserver accepts handled requests\n {accepts} {handled} {requests} \nReading: {reading} Writing: {writing} Waiting: {waiting} \n");
            let want = StubStatus { active, accepts, handled, requests, reading, writing, waiting };
            prop_assert_eq!(StubStatus::parse(&page), Some(want));
        }
    }
}
