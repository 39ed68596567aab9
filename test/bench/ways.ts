/** The ways to copy images that are compared. */
import type { ControllerProcess } from './controller-process.ts';
import { createOrder, type Laboratory, type Route } from './laboratory.ts';
import { copyWithSkopeo, copyWithXargs } from './plain-copies.ts';

/** Who copies. */
interface Copiers {
  readonly lab: Laboratory;
  readonly controller: ControllerProcess;
}

export type Way = (copiers: Copiers, route: Route) => Promise<{ readonly wallMs: number }>;

export const copyPlainly: Way = async ({ lab }, route) => copyWithXargs(lab, route);

export const copyAsSkopeo: Way = async (_, route) => copyWithSkopeo(route);

export const copyAsController: Way = async ({ lab, controller }, route) =>
  controller.backUp(createOrder(lab, route));
