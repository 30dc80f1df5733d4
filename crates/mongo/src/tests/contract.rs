//! The contract suite and the model, against one instance and against three at once.

use crate::testing::Instances;

mod one {
    seqline_core::contract_tests!(|| super::Instances::simulated(1));

    #[test]
    fn any_operations_are_answered_as_the_model_does() {
        seqline_core::testing::model::run(60, || super::Instances::simulated(1));
    }
}

mod three {
    seqline_core::contract_tests!(|| super::Instances::simulated(3));

    #[test]
    fn any_operations_are_answered_as_the_model_does() {
        seqline_core::testing::model::run(60, || super::Instances::simulated(3));
    }
}
