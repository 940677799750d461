# Lowering: a validated function body to threaded code, in one pass over its bytes.
#
# The operand stack is followed at lowering time. An operand is in the slot of its height, or it
# is a local or a constant that nobody has read yet. An instruction's result goes to the slot of
# its height; `local.set` changes the destination of the instruction before it, and an
# instruction whose operand was made by the cell just before takes it from the register.
# Fuel (docs/fuel.md): every place that charges is a site whose cost is filled in when the
# straight code behind it ends.

include "lowering/structs.pxi"
include "lowering/tables.pxi"
include "lowering/cells.pxi"
include "lowering/fuel.pxi"
include "lowering/operands.pxi"
include "lowering/notes.pxi"
include "lowering/numeric.pxi"
include "lowering/memory.pxi"
include "lowering/labels.pxi"
include "lowering/branches.pxi"
include "lowering/blocks.pxi"
include "lowering/references.pxi"
include "lowering/exceptions.pxi"
include "lowering/calls.pxi"
include "lowering/vectors.pxi"
include "lowering/variables.pxi"
include "lowering/bulk.pxi"
include "lowering/atomics.pxi"
include "lowering/aggregates.pxi"
include "lowering/sequences.pxi"
include "lowering/function.pxi"
