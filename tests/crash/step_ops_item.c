#include "step.h"
const struct step_op step_ops_item[] = {{0}};
