pub(crate) const ATTACK: crate::lab::Attack =
    crate::lab::Attack { name: "full-disk", promise: "", unit: "", run: |_| crate::findings::Findings::default() };
