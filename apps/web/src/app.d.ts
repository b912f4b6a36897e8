import type { SessionUser } from '@kith/core';
import type { Principal } from '@kith/sdk';
import type { Language } from '@kith/ui/types.ts';
import type en from '../locales/en.json';

declare global {
  namespace App {
    interface Locals {
      user: SessionUser | null;
      principal: Principal | null;
      /** Staff who see the portal as the partners of `audience:company` do. */
      as: string | null;
      language: Language;
    }
    interface Error {
      code?: string;
    }
  }
}

declare module '@kith/ui/i18n.ts' {
  interface Catalogues {
    web: typeof en;
  }
}
