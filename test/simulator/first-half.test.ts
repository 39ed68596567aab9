import { itKeepsThePromise } from './histories.ts';

itKeepsThePromise(1);
