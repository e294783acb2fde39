//! What the host does for the core when it is asked, passed in as the clock is.

use std::rc::Rc;

use crate::exchange::client::Signer;
use crate::exchange::shared::SharedData;
use crate::response::Held;
use crate::token::SignatureVerifier;

/// What the host of one worker offers.
#[derive(Clone)]
pub struct Host {
    /// Checks signatures, as far as it can.
    pub verifier: Rc<dyn SignatureVerifier>,
    /// Signs, as far as it can.
    pub signer: Rc<dyn Signer>,
    /// What all workers of the process share.
    pub shared_data: Rc<dyn SharedData>,
    /// What responses hold in this virtual machine, also those that began under an earlier
    /// configuration.
    pub held: Held,
}
