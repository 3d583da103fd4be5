//! An embeddable, actor-based integration hub for Managed Service Providers.
pub use bifrost_actors::supervision;
pub use bifrost_actors::{
    Config, Connections, ExecutionHandle, Hub, HubBuilder, HubConfig, HubSnapshot, NewTenant, Run, Secrets, Shutdown,
    Tenant, TenantSnapshot, Tenants,
};
pub use bifrost_core::*;
