//! HaloPSA's rolling window: 300 in five minutes as published, and an instance that allows fewer.

use std::sync::Arc;
use std::time::Duration;

use bifrost::halopsa::{HaloPsaConfig, HaloPsaIntegration};
use bifrost::integration::Outbound;
use bifrost::testing::{
    DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, DirectTokens, HALOPSA_INSTANCE, Rate, SeededEntropy,
    SimulatorTransport, Simulators, TokioClock,
};
use bifrost::{Clock, Credential};
use bytes::Bytes;
use futures_util::future::join_all;

use crate::findings::Findings;
use crate::lab::Round;

pub(super) async fn rolling_window(round: &Round, findings: &mut Findings) {
    let count = round.scale(700, 3_000);
    for limit in [300, 120_u32] {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()));
        let sims = Simulators::builder()
            .with_seed(round.seed)
            .with_clock(Arc::clone(&clock))
            .with_halopsa_limit(Rate::per_seconds(limit, 300))
            .build();
        let transport = Arc::new(SimulatorTransport::new(sims.clone()));
        let entropy = Arc::new(SeededEntropy::new(round.seed));
        let halo = Arc::new(HaloPsaIntegration::over(transport, Arc::clone(&clock), entropy).unwrap());
        let settings = HaloPsaConfig::cloud(HALOPSA_INSTANCE).build().unwrap();
        let credential = Credential::client_secret(DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET);
        let tokens = Arc::new(DirectTokens::new(halo, Arc::clone(&clock), settings, credential).unwrap());
        let connection = tokens.connection();
        let call = |number: u64| {
            let request = http::Request::get(format!("/Client?pageinate=true&page_no={number}")).body(Bytes::new());
            let outbound = Outbound::new(request.unwrap(), "/Client").with_deadline(Duration::from_secs(86_400));
            let connection = connection.clone();
            async move { connection.send(outbound).await }
        };
        let done = join_all((0..count).map(call)).await;
        findings.attempts += count;
        let lost: Vec<_> = done.iter().filter_map(|done| done.as_ref().err()).collect();
        findings.check(lost.is_empty(), || format!("limit {limit}: {} calls lost, such as {}", lost.len(), lost[0]));
        let throttled = sims.throttled_count();
        // What the published limit lets go at once is on its way before the first answer names another one.
        let unknown = u64::from(300 - limit);
        findings.check(throttled <= unknown + count / 10, || {
            format!("limit {limit}: {throttled} of {count} were throttled")
        });
        findings.count("throttled by HaloPSA", throttled as f64);
    }
}
