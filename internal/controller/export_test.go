package controller

import "context"

// Meanwhile runs f while the loop waits: news that f sends is taken in at once.
func (c *Controller) Meanwhile(ctx context.Context, f func()) error { return c.do(ctx, f) }
